"""What an index of packages has: PyPI, TestPyPI, or any other that serves the simple API
(https://packaging.python.org/en/latest/specifications/simple-repository-api/).

    index.py REPOSITORY PROJECT VERSION

prints the files of that version, as JSON: {name: SHA-256}.
"""

import contextlib
import hashlib
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import requests
from pypi_simple import (
    DistributionPackage,
    NoSuchProjectError,
    PyPISimple,
    UnsupportedContentTypeError,
    UnsupportedRepoVersionError,
)

from process import Word, die_with_parent

# Where twine uploads to, and where pip reads from. (test.)pypi.org have hosts of their own for
# the former; elsewhere, as in pypiserver and devpi, the latter lies below it.
REPOSITORIES = {
    "pypi": ("https://upload.pypi.org/legacy/", "https://pypi.org/simple/"),
    "testpypi": ("https://test.pypi.org/legacy/", "https://test.pypi.org/simple/"),
}

# pypiserver's own program reads passwords with passlib, which nobody maintains.
SERVER = """\
import os, pathlib, sys
import pypiserver
from pypiserver.bottle_wrapper import run

expected = os.environ["TWINE_USERNAME"], os.environ["TWINE_PASSWORD"]
app = pypiserver.app(
    roots=[pathlib.Path(sys.argv[1])],
    authenticate=["update"],
    auther=lambda *given: given == expected,
    backend_arg="simple-dir",
    disable_fallback=True,
    hash_algo="sha256",
    health_endpoint="/health",
)
run(app=app, host="127.0.0.1", port=int(sys.argv[2]))
"""


def addresses(repository: str) -> tuple[str, str]:
    """(where uploads go, where the simple API is) of `pypi`, `testpypi` or a URL."""
    if not repository:
        sys.exit("error: name the index: REPOSITORY=testpypi, or pypi, or an address")
    if repository in REPOSITORIES:
        return REPOSITORIES[repository]
    if not repository.startswith(("http://", "https://")):
        names = ", ".join(REPOSITORIES)
        sys.exit(f"error: no repository is called {repository!r}: {names}, or an https:// address")
    if "@" in urlsplit(repository).netloc:
        sys.exit(
            "error: an address is no place for a password: set TWINE_USERNAME and "
            "TWINE_PASSWORD, or use a keyring or ~/.pypirc"
        )
    url = repository.rstrip("/") + "/"
    for known in REPOSITORIES.values():
        if url in known:
            return known
    return url, url + "simple/"


@contextlib.contextmanager
def packages(
    repository: str, project: str, version: str
) -> Iterator[tuple[PyPISimple, list[DistributionPackage]]]:
    """(a client of the index, the files of one version as it describes them): none where the
    index has no such project. Ends the run when the index does not answer."""
    _, simple = addresses(repository)
    try:
        with PyPISimple(simple) as client:
            found = client.get_project_page(project, timeout=60).packages
            yield client, [package for package in found if package.version == version]
    except NoSuchProjectError:
        yield client, []
    except (
        requests.RequestException,
        UnsupportedContentTypeError,
        UnsupportedRepoVersionError,
        ValueError,
    ) as error:
        sys.exit(f"error: {simple} cannot be read: {error}")


def files(repository: str, project: str, version: str) -> dict[str, str]:
    """{name: SHA-256 in hexadecimal} of the files of one version."""
    with packages(repository, project, version) as (client, found):
        return {package.filename: sha256(client, package) for package in found}


def sha256(client: PyPISimple, package: DistributionPackage) -> str:
    if "sha256" in package.digests:
        return package.digests["sha256"]
    with tempfile.TemporaryDirectory() as folder:  # pypiserver tells another one by default
        path = Path(folder, "file")
        client.download_package(package, path, verify=False)
        return hashlib.sha256(path.read_bytes()).hexdigest()


class Server:
    """An index on loopback, pypiserver, for a `with` block. Anybody may read from it; who
    uploads needs the password that `credentials` has, as twine's variables."""

    def __init__(self, folder: Path) -> None:
        """folder: where the packages are, which need not exist; its log is beside it."""
        self.folder = Path(folder)
        self.log = self.folder.with_suffix(".log")
        self.credentials = {"TWINE_USERNAME": "maintainer", "TWINE_PASSWORD": secrets.token_hex()}

    def __enter__(self) -> "Server":
        self.folder.mkdir(exist_ok=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/"
        command: list[Word] = [sys.executable, "-c", SERVER, self.folder, str(port)]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.credentials},
                preexec_fn=die_with_parent if sys.platform == "linux" else None,
            )
        try:
            self.wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def wait(self) -> None:
        client = requests.Session()
        client.trust_env = False  # a proxy knows no loopback of ours
        for _ in range(300):
            with contextlib.suppress(requests.ConnectionError):
                if client.get(self.url + "health", timeout=10).ok:
                    return
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise RuntimeError(f"pypiserver does not answer at {self.url}:\n{self.log.read_text()}")

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def bypass(self) -> dict[str, str]:
        """What keeps a proxy from standing between a client and loopback, as variables."""
        set_ones = [os.environ.get(name) for name in ("no_proxy", "NO_PROXY")]
        hosts = ",".join(filter(None, [*set_ones, "127.0.0.1"]))
        return {"no_proxy": hosts, "NO_PROXY": hosts}

    def environment(self, **changes: str) -> dict[str, str]:
        """This environment, with the password."""
        return {**os.environ, **self.bypass, **self.credentials, **changes}


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    print(json.dumps(files(*sys.argv[1:])))
