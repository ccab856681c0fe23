"""`python -m hello_pyrust`, and the package's command: prints the greeting."""

from hello_pyrust import hello


def main():
    hello()


if __name__ == "__main__":
    main()
