"""Cases for the rules about programs."""

import struct

from audit_files import new_info

INFO = "half_way-1.2.0rc3.dist-info"
SCRIPTS = "half_way-1.2.0rc3.data/scripts"
PROGRAM = f"{SCRIPTS}/half-way"

CASES = {}


def breaks(*codes):
    """A case: what the function does to a good wheel of a program gets it exactly these codes. The
    function's second argument is what else the tests compiled: {name: bytes}."""

    def add(function):
        CASES[function.__name__] = (set(codes), function)
        return function

    return add


@breaks("P901")
def no_program(wheel, compiled):
    del wheel.files[PROGRAM]


@breaks("P901")
def a_second_program(wheel, compiled):
    wheel.files[f"{SCRIPTS}/other"] = wheel.files[PROGRAM]
    wheel.infos[f"{SCRIPTS}/other"] = new_info(f"{SCRIPTS}/other", mode=0o100755)
    wheel.infos[f"{SCRIPTS}/other"].date_time = wheel.infos[PROGRAM].date_time


@breaks("P901")
def a_library_beside_it(wheel, compiled):
    wheel.files["half_way/lib/libhalf.so"] = compiled["library"]


@breaks("P901")
def a_library_in_its_place(wheel, compiled):
    wheel.files[PROGRAM] = compiled["library"]


@breaks("P902")
def a_program_that_is_not_executable(wheel, compiled):
    wheel.infos[PROGRAM].external_attr = 0o100644 << 16


@breaks("P902", "R208")
def a_script_that_is_not_executable(wheel, compiled):
    wheel.files[f"{SCRIPTS}/half-way.sh"] = b"#!/bin/sh\n"


@breaks("H512")
def a_program_at_a_fixed_address(wheel, compiled):
    wheel.files[PROGRAM] = compiled["fixed"]


@breaks("L306", "D401")
def a_program_that_needs_glibc(wheel, compiled):
    wheel.files[PROGRAM] = compiled["dynamic"]


@breaks("L304")
def a_program_for_another_machine(wheel, compiled):
    data = bytearray(wheel.files[PROGRAM])
    struct.pack_into("<H", data, 18, 183)  # EM_AARCH64
    wheel.files[PROGRAM] = bytes(data)


@breaks("L302")
def a_program_that_is_cut_short(wheel, compiled):
    wheel.files[PROGRAM] = wheel.files[PROGRAM][:5000]


@breaks("H501")
def an_executable_stack(wheel, compiled):
    data = bytearray(wheel.files[PROGRAM])
    first, size, count = struct.unpack_from("<Q", data, 32) + struct.unpack_from("<HH", data, 54)
    (at,) = (
        at
        for at in range(first, first + size * count, size)
        if struct.unpack_from("<I", data, at)[0] == 0x6474E551  # PT_GNU_STACK
    )
    struct.pack_into("<I", data, at + 4, 7)
    wheel.files[PROGRAM] = bytes(data)


@breaks("W109")
def a_wheel_for_python_3_alone(wheel, compiled):
    wheel.tag("py2.py3", "py3")


@breaks("R210")
def another_version_of_the_finder(wheel, compiled):
    wheel.edit("half_way/_program.py", "import os", "import os, re")
