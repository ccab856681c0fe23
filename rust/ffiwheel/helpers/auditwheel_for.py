"""auditwheel for the platform of a tag, whatever this machine is.

Usage: auditwheel_for.py TAG ARGUMENT...

auditwheel repairs wheels of any architecture, but its command line offers the tags of its
own machine alone (6.8: main_repair.configure_parser). This tells it that it runs on the
tag's. It can go when `auditwheel repair --plat` takes every tag.
"""

import sys

from auditwheel.architecture import Architecture
from auditwheel.libc import Libc
from auditwheel.main import main

tag = sys.argv.pop(1)
(libc,) = (libc for libc in Libc if tag.startswith(libc.tag_prefix))
(architecture,) = (each for each in Architecture if tag.endswith("_" + each.value))
Libc.detect = staticmethod(lambda *_, **__: libc)
Architecture.detect = staticmethod(lambda *_, **__: architecture)
sys.exit(main())
