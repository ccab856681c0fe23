"""Names the platforms of a wheel that has a program for each of them, and nothing to be repaired.

    set_platforms.py WHEEL FOLDER TAG...

The copy in FOLDER, and its file WHEEL, say these tags instead of the one that they said.
`auditwheel repair` refuses a wheel without a library.
"""

import sys
from pathlib import Path

from auditwheel.wheeltools import InWheelCtx, add_platforms, get_wheel_platforms


def main() -> None:
    wheel, folder, *tags = sys.argv[1:]
    path = Path(wheel).resolve()
    with InWheelCtx(path, Path(folder).resolve() / path.name) as context:
        # It writes the archive when this ends.
        context.out_wheel = add_platforms(context, tags, get_wheel_platforms(path.name))


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main()
