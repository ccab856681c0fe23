"""What can be exported: declarations.rs has one of every kind, and takes the place of the
library's own source here."""

import re
import shutil
import sys

import pytest

from support import (
    BIN,
    CARGO,
    FIXTURES,
    ROOT,
    Failed,
    Interpreter,
    found_interpreters,
    link_tools,
    renamed,
    run,
)

DECLARATIONS = FIXTURES / "declarations.rs"
GENERATED = [
    "rust/include/sample.h",
    "python/sample/_ffi.py",
    "python/sample/_ffi.pyi",
]

# Runs on every Python, with the folder of _ffi.py and the library as arguments.
PROGRAM = r"""
import sys

sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
from _ffi import ABI, ffi

lib = ffi.dlopen(sys.argv[2])
P = "sample_"


def get(name):
    return getattr(lib, P + name)


def same(*pairs):
    for i, (found, expected) in enumerate(pairs):
        assert found == expected, (i, found, expected)


def owned(pointer):
    assert pointer
    try:
        return ffi.string(pointer).decode("utf-8")
    finally:
        lib.sample_text_free(pointer)


def error():
    kind = ffi.new("sample_ErrorKind *")
    message = lib.sample_error_take(kind)
    return (kind[0], owned(message)) if message else None


def filled(type, function, *arguments):
    out = ffi.new(P + type + " *")
    same((function(*(arguments + (out,))), 0))
    return out[0]


def constants():
    values = {"DECIMAL": 1000, "NEGATIVE": -5, "HEX": 0xDEADBEEF, "LARGEST": 2**64 - 1, "SWITCH": 1}
    enums = {
        "Small": {"None": 0, "Most": 255},
        "Signed": {"Below": -128, "Minus": -1, "Above": 127},
        "Short": {"Zero": 0, "Most": 65535},
        "Plain": {"Least": -(2**31), "Most": 2**31 - 1},
        "Wide": {"One": 1, "Most": 2**32 - 1},
        "Huge": {"One": 1, "High": 2**63 + 1, "Most": 2**64 - 1},
        "ErrorKind": {"Argument": 1, "Io": 2, "Callback": 3, "Panic": 4, "Memory": 5},
    }
    for enum in enums:
        names = ffi.typeof("enum " + P + enum).relements
        same((names, dict((P + enum + "_" + name, v) for name, v in enums[enum].items())))
        values.update((enum + "_" + name, value) for name, value in enums[enum].items())
    for name in values:
        same((getattr(lib, (P if "_" in name else P.upper()) + name), values[name]))
    for name in ["HALF", "MOTTO", "SUM"]:
        assert not hasattr(lib, P.upper() + name), name


def layouts():
    seen, told, functions = set(), {}, set()
    for line in ffi.string(lib.sample_layout()).decode("ascii").splitlines():
        words = line.split(" ")
        kind, name = words[:2]
        if kind == "fn":
            same((name in functions, False))
            functions.add(name)
            continue
        same((name in told, False))
        told[name] = tuple(int(number) for number in words[2:4])
        for member in words[4:]:
            if kind == "enum":
                value, number = member.split("=")
                same(((name, value, get(name + "_" + value)), (name, value, int(number))))
            else:
                field, offset, size = member.split(":")
                told[name + "." + field] = (int(offset),)
                type = dict(ffi.typeof(P + name).fields)[field].type
                same(((name, field, ffi.sizeof(type)), (name, field, int(size))))
    exported = [name for name in dir(lib.library) if callable(getattr(lib.library, name))]
    same((functions, set(exported)))
    for line in owned(lib.sample_layouts()).splitlines():
        name, numbers = line.split(" ", 1)
        numbers = tuple(int(number) for number in numbers.split())
        same(((name, told.pop(name)), (name, numbers)))
        if "." in name:
            name, field = name.split(".")
            same(((name, field, ffi.offsetof(P + name, field)), (name, field) + numbers))
        else:
            seen.add(name)
            same(((name, ffi.sizeof(P + name), ffi.alignof(P + name)), (name,) + numbers))
    structs = "Mixed Nested Point Listener"
    same((seen, set((structs + " Small Signed Short Plain Wide Huge").split())))
    # The ones of the gate are left.
    same((set(told), set("Bytes Bytes.data Bytes.len BytesMut BytesMut.data BytesMut.len"
                         " ErrorKind".split())))
    for name in structs.split():
        fields = [field for field, _ in ffi.typeof(P + name).fields]
        assert fields, name
    assert ffi.sizeof(P + "Mixed") > 1 + 8 + 1 + 4 + 1 + 8 + 1


def scalars():
    least = [-(2**7), 0, -(2**15), 0, -(2**31), 0, -(2**62), 0, -1, 0]
    most = [2**7 - 1, 2**8 - 1, 2**15 - 1, 2**16 - 1, 2**31 - 1, 2**32 - 1, 2**61, 2**61, 1, 2]
    for numbers in [least, most]:
        same((lib.sample_numbers(*numbers), sum(numbers)))
    try:
        lib.sample_numbers(128, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    except OverflowError:
        pass
    else:
        raise AssertionError("128 was taken as an int8_t")
    same(
        (lib.sample_largest(), 2**64 - 1),
        (lib.sample_half(0.75), 0.375),
        (lib.sample_third(1.0), 1.0 / 3.0),
        (lib.sample_not(True), False),
        (lib.sample_not(False), True),
        (lib.sample_words(1, 2, 3), 123),
        (ffi.string(lib.sample_text_same(b"Zo\xc3\xab")), b"Zo\xc3\xab"),
        (lib.sample_text_same(b"Zo\xeb"), ffi.NULL),
    )
    same((error()[0], lib.sample_ErrorKind_Argument), (error(), None))
    into = bytearray(3)
    pointers = [ffi.from_buffer("uint8_t[]", buffer) for buffer in (b"\0\x01\xff", into)]
    same((lib.sample_bytes_copy(*[(pointer, 3) for pointer in pointers]), 3))
    same((into, bytearray(b"\0\x01\xff")))
    failed = 2 ** (8 * ffi.sizeof("size_t")) - 1
    same((lib.sample_bytes_copy((ffi.NULL, 0), (ffi.NULL, 1)), failed))
    same((error()[0], lib.sample_ErrorKind_Argument))


def enums():
    same(
        (filled("Small", lib.sample_small, False), 0),
        (filled("Small", lib.sample_small, True), 255),
        (filled("Short", lib.sample_short), 65535),
        (filled("Plain", lib.sample_plain), -(2**31)),
        (filled("Wide", lib.sample_wide), 2**32 - 1),
        (lib.sample_signed(-128), lib.sample_Signed_Below),
        (lib.sample_signed(127), lib.sample_Signed_Above),
        (lib.sample_huge(), lib.sample_Huge_High),
        (lib.sample_signed(5), lib.sample_Signed_Minus),
    )
    same((error(), (lib.sample_ErrorKind_Argument, u"5")))


def structs():
    def mixed(m):
        values = (m.flag, m.real, m.small, m.single, m.sign, m.large, m.last)
        same((values, (True, -0.25, -8, 1.5, lib.sample_Signed_Below, 2**64 - 2, True)))

    mixed(filled("Mixed", lib.sample_mixed))
    n = filled("Nested", lib.sample_nested)
    mixed(n.mixed)
    same(
        ((n.before, n.after, n.huge), (1, 2, lib.sample_Huge_High)),
        (list(n.triple), [1, 2, 65535]),
        ([list(row) for row in n.grid], [[0.0, 0.5], [1.0, 1.5], [2.0, 2.5]]),
        ([(point.x, point.y) for point in n.pair], [(3.5, -3), (4.5, -4)]),
        (lib.sample_nested(ffi.NULL), -1),
    )
    same((error(), (lib.sample_ErrorKind_Argument, u"the pointer for the result is NULL")))
    point = lib.sample_point_swap((7.0, -2))
    same(
        ((point.x, point.y), (-2.0, 7)),
        (lib.sample_point_sum(ffi.new("sample_Point *", (0.5, 2))), 2.5),
    )
    assert lib.sample_point_sum(ffi.NULL) != 0  # NaN
    same((error()[1], u"the point is NULL"))


def callbacks():
    calls = []
    data = ffi.new("int *")

    @ffi.callback("sample_Report")
    def report(user_data, text, real, point, huge):
        same((user_data, ffi.cast("void *", data)))
        calls.append((ffi.string(text), real, point.x, point.y, huge))
        return -(2**62)

    @ffi.callback("sample_Notice")
    def notice(single, flag):
        calls.append((single, flag))

    same((lib.sample_report(report, data, b"\xc3\xa9"), -(2**62)))
    listener = ffi.new("sample_Listener *", (data, report, 0.5))
    same((lib.sample_listen(listener, b"e"), -(2.0**61)))
    lib.sample_notice(notice)
    same(
        (calls.pop(0), (b"\xc3\xa9", 0.125, 2.5, -7, 2**63 + 1)),
        (calls.pop(0), (b"e", 0.5, -2.5, 7, 2**64 - 1)),
        (calls.pop(0), (0.5, True)),
        (calls, []),
        (lib.sample_report(ffi.NULL, ffi.NULL, b""), -1),
        (error()[1], u"the callback is NULL"),
    )
    lib.sample_notice(ffi.NULL)
    same((error(), None))


def handles():
    counter = lib.sample_counter_new(2**32 - 2)
    same((lib.sample_counter_value(counter), 2**32 - 2))
    lib.sample_counter_free(counter)
    same((lib.sample_counter_value(ffi.NULL), 2**32 - 1))
    same((error()[1], u"the handle is NULL"))


used = set()


class Recorder(object):
    # Every function is to be called, and what is added to the fixture too.
    def __init__(self, library):
        self.library = library

    def __getattr__(self, name):
        used.add(name)
        return getattr(self.library, name)


lib = Recorder(lib)
same((ffi.string(lib.sample_abi()).decode("ascii"), ABI))
for test in [constants, layouts, scalars, enums, structs, callbacks, handles]:
    test()
same((lib.sample_callbacks_end(0), 0))
import _cffi_backend

same((set(dir(lib.library)) - used, set()))
print("cffi " + _cffi_backend.__version__)
"""


def ffiwheel(root, *words, **options):
    # The tool itself is the checkout's: it works on the project around its working directory.
    program = ROOT / "rust/ffiwheel/target/debug/ffiwheel"
    if not program.exists():
        run(
            CARGO,
            "build",
            "--locked",
            "--manifest-path",
            ROOT / "rust/ffiwheel/Cargo.toml",
            cwd=ROOT,
        )
    return run(program, *words, cwd=root, **options)


def sample(folder):
    """This project by the name that declarations.rs has."""
    project = renamed(folder, "sample")
    link_tools(project)
    return project


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """A project with declarations.rs for a library, its generated files, and its library."""
    project = sample(tmp_path_factory.mktemp("declarations") / "project")
    shutil.copy(DECLARATIONS, project.source)
    project.output = ffiwheel(project.root, "header")
    # The same folder as ffiwheel's, where all but the link is done.
    target = project.root / "build/header/cargo"
    run(CARGO, "build", "--lib", "--locked", "--target-dir", target, cwd=project.root / "rust")
    project.built = target / "debug/libsample.so"
    return project


def call_everything(python, project, folder):
    program = folder / "program.py"
    program.write_text(PROGRAM)
    return run(python, program, project.python / "sample", project.built, cwd=folder).strip()


def test_every_declaration_works_with_the_newest_cffi(generated, tmp_path):
    output = call_everything(sys.executable, generated, tmp_path)
    assert int(re.fullmatch(r"cffi (\d+)\..*", output).group(1)) >= 2


def test_every_declaration_works_with_the_cffi_of_python_2(generated, request, tmp_path):
    found = found_interpreters(request.config)
    name = next((name for name in ["2.7", "3.6"] if name in found), None)
    if not name:
        pytest.skip("this machine has neither Python 2.7 nor 3.6")
    environment = Interpreter(name, *found[name]).environment(tmp_path / "venv")
    environment.pip("install", "--quiet", "--only-binary", ":all:", "cffi==1.15.1")
    assert call_everything(environment.python, generated, tmp_path) == "cffi 1.15.1"


def test_what_is_no_integer_is_left_out_with_a_note(generated):
    # The program above sees that Python has none of them.
    notes = [line for line in generated.output.splitlines() if line.startswith("note: ")]
    assert sorted(re.findall(r"^note: (\w+) ", "\n".join(notes), re.M)) == [
        "MOTTO",
        "SAMPLE_HALF",
        "SAMPLE_SUM",
    ]


@pytest.mark.parametrize("standard", ["c99", "c11", "c2x", "c23", "c++11", "c++17", "c++20"])
def test_the_header_compiles(generated, tmp_path, standard):
    plus = standard.startswith("c++")
    compiler = shutil.which("c++" if plus else "cc")
    if not compiler:
        pytest.skip("this machine has no compiler for it")
    language = ["-x", "c++" if plus else "c", f"-std={standard}"]
    try:
        run(compiler, *language, "-fsyntax-only", "/dev/null", cwd=tmp_path)
    except Failed:
        pytest.skip(f"{compiler} knows no {standard}")
    source = tmp_path / "source"
    # What is twice there must do no harm; what a comment swallowed would be missed.
    source.write_text(
        """
        #include "sample.h"
        #include "sample.h"
        int main(void) {
            sample_Nested nested;
            sample_Signed sign = sample_Signed_Below;
            nested.mixed.real = SAMPLE_HALF + SAMPLE_SUM;
            nested.huge = sample_Huge_Most;
            nested.mixed.sign = sign;
            return sample_layouts() != NULL && sample_nested(&nested)
                && sample_Small_Most == 255 && nested.mixed.flag == SAMPLE_SWITCH;
        }
        """
    )
    flags = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-Wno-error=pedantic", "-fsyntax-only"]
    include = generated.root / "rust/include"
    output = run(compiler, *language, *flags, "-I", include, source, cwd=tmp_path)
    # C before C23 has enumerators in `int` only. Wider ones are an extension that GCC and
    # Clang have always had; with -pedantic they say so, and of nothing else.
    for line in output.splitlines():
        if "warning:" in line:
            assert "restricts enumerator values" in line, output
    if plus:
        assert output == ""


def test_a_header_without_wide_enumerators_is_pedantically_clean(generated, tmp_path):
    lines = (generated.root / "rust/include/sample.h").read_text().splitlines(keepends=True)
    wide = re.compile(r"  sample_(Wide_Most|Huge_High|Huge_Most) =")
    (tmp_path / "narrow.h").write_text("".join(line for line in lines if not wide.match(line)))
    (tmp_path / "source.c").write_text('#include "narrow.h"\nint main(void) { return 0; }\n')
    for standard in ["c99", "c11"]:
        flags = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only"]
        run("cc", f"-std={standard}", *flags, "source.c", cwd=tmp_path)


def test_a_comment_is_carried_into_the_header_and_swallows_nothing(generated):
    header = (generated.root / "rust/include/sample.h").read_text("utf-8")
    for text in [
        "`*/` and `/*`, // twice, \"quotes\", 'apostrophes', \\n and \\u{0}, %s and ??/ too: Zoë",
        "  // Ends with a backslash \\.\n  sample_Small_Most = 255,\n",
        "  // Ends with a backslash \\.\n  double real;\n",
        "/* Ends with a backslash \\.\nsample_OwnedText sample_layouts(void);\n",
        "the second of which ends with a backslash.\nenum sample_Short\n",
    ]:
        assert text in header
    assert not re.search(r"\\\s*$|\?\?/$", header, re.M)


def test_the_stub_is_strictly_typed(generated, tmp_path):
    (tmp_path / "use.py").write_text(
        "from _ffi import Lib, ffi\n\n\n"
        "def use(lib: Lib) -> float:\n"
        "    value: int = lib.sample_words(1, 2, 3) + lib.sample_Huge_High\n"
        "    ffi.string(lib.sample_text_same(b'text'))\n"
        "    lib.sample_notice(lib.sample_point_swap((1.0, 2)))\n"
        "    return value + lib.sample_half(0.5)\n"
    )
    stub = generated.python / "sample" / "_ffi.pyi"
    shutil.copy(stub, tmp_path)
    cache = ROOT / ".mypy_cache"  # typeshed is half of the time
    run(BIN / "mypy", "--strict", "--cache-dir", cache, "_ffi.pyi", "use.py", cwd=tmp_path)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A project with the library's own source, which tests change and `source` restores."""
    project = sample(tmp_path_factory.mktemp("original") / "project")
    ffiwheel(project.root, "header")  # the fingerprint counts the name
    return project


@pytest.fixture
def source(original):
    text = original.source.read_text()
    before = contents(original)
    yield original.source
    # What is refused is refused before anything is written.
    assert contents(original) == before
    original.source.write_text(text)


def contents(project):
    return {name: (project.root / name).read_bytes() for name in GENERATED}


def refused(project, *words):
    # One error, whatever the compiler adds below it.
    output = ffiwheel(project.root, *words, fails=True)
    assert len(re.findall("^error: ", output, re.M)) == 1 and "panicked" not in output, output
    return output


def add_export(project, text):
    project.edit(project.source, "export! {\n", "export! {\n" + text)


def test_the_header_is_the_same_in_a_newer_edition(original, source):
    # There the attribute that exports a function is written otherwise.
    manifest = original.root / "rust/Cargo.toml"
    before = manifest.read_text()
    original.edit(manifest, 'edition = "2021"', 'edition = "2024"')
    original.edit(manifest, 'rust-version = "1.63"', 'rust-version = "1.85"')
    output = ffiwheel(original.root, "header", "--check")
    manifest.write_text(before)
    assert "are up to date" in output
    assert "unsafe(export_name" in (original.root / "build/header/expanded.rs").read_text()


def test_a_type_without_fixed_width_is_refused(original, source):
    add_export(
        original,
        "    fn sample_long(value: std::os::raw::c_long) -> u8 {\n        Ok(value as u8)\n    }\n",
    )
    output = refused(original, "header")
    assert "`uint8_t sample_long(long value);`: `long` has another width" in output


def test_a_condition_inside_an_export_is_refused(original, source):
    # The macros take no attribute but comments. A condition around a whole macro is out of
    # their sight, and after expansion out of ffiwheel's: rustc prints what is left, without the
    # attribute, so the files are those of the platform that `make header` ran on. The
    # fingerprint of a library whose condition came out otherwise differs, and the import
    # refuses it. A constant has no part in the fingerprint.
    add_export(
        original,
        "    #[cfg(windows)]\n    fn sample_windows() -> () {\n        Ok(())\n    }\n",
    )
    output = refused(original, "header")
    assert "no rules expected `cfg`" in output and "src/lib.rs:" in output


def test_a_condition_around_an_export_is_gone_after_expansion(original, source):
    struct = "export_struct! {\n    pub struct Other {\n        pub a: u8,\n    }\n}\n\n"
    original.edit(
        original.source,
        "export_handle!(",
        f"#[cfg(windows)]\n{struct}#[cfg(not(windows))]\nexport_handle!(",
    )
    assert "are up to date" in ffiwheel(original.root, "header", "--check")


def test_an_export_that_avoids_the_gate_does_not_compile(original, source):
    original.edit(
        original.source,
        "export_handle!(",
        '#[no_mangle]\npub extern "C" fn sample_stray() {}\n\nexport_handle!(',
    )
    output = refused(original, "header")
    assert "declaration of a `no_mangle` function" in output
    assert "deny(unsafe_code)" in output


def test_a_changed_signature_is_noticed_and_nothing_is_written(original, source):
    original.edit(
        original.source,
        "sample_cakes_share(cakes: u32, guests: u32)",
        "sample_cakes_share(cakes: u16, guests: u16, plates: u8)",
    )
    original.edit(original.source, "cakes / guests", "cakes / guests / u16::from(plates)")
    output = refused(original, "header", "--check")
    assert output.splitlines()[-1] == (
        f"error: out of date: {', '.join(GENERATED)}; run `make header`, and commit what it writes"
    )


# In rust/src: a pattern of what is there, and what takes its place.
EQUAL = [
    ("lib.rs", "/// Counts bytes and lines, and", "/// Counts, and"),
    ("lib.rs", r"\(cakes: u32, guests: u32\) -> i64 {", "(cakes:u32,\n guests :u32 )->i64{ // It."),
    ("lib.rs", r"i64::from\(cakes / guests\)", "i64::from(cakes / guests) + 1"),
]  # fmt: skip
# No type in them is another one.
OTHER = [
    ("lib.rs", r"\(cakes: u32, guests: u32\)", "(guests: u32, cakes: u32)"),
    ("lib.rs", r"fn sample_cakes_share\(", "fn sample_cakes_divide("),
    ("lib.rs", "(pub bytes: u64,)(.*)(pub lines: u64,)", r"\3\2\1"),
    ("lib.rs", "Utf8 = 1,(.*)Binary = 2,", r"Utf8 = 2,\1Binary = 1,"),
    ("ffi/gate.rs", r"Io = 2,(.*)Callback = 3,", r"Io = 3,\1Callback = 2,"),
    (
        "ffi/abi.rs",
        r'(data: \*mut u8,)([^,]*)(len: usize,)(.*"BytesMut"), ([^,]*), ([^)]*)\)',
        r"\3\2\1\4, \6, \5)",
    ),
]


def replaced(project, name, pattern, replacement):
    path = project.root / "rust/src" / name
    before = path.read_text()
    text, count = re.subn(pattern, replacement, before, count=1, flags=re.DOTALL)
    assert count == 1 and text != before, pattern
    path.write_text(text)
    return path, before


def test_what_the_fingerprint_covers(original):
    ffi = original.root / GENERATED[1]
    generated = contents(original)

    def fingerprint():
        return re.search("^ABI = '(.*)'$", ffi.read_text(), re.M).group(1)

    own, found = fingerprint(), []
    for change in EQUAL + OTHER:
        path, before = replaced(original, *change)
        ffiwheel(original.root, "header")
        path.write_text(before)
        found.append(fingerprint())
    for name, text in generated.items():
        (original.root / name).write_bytes(text)
    assert set(found[: len(EQUAL)]) == {own}, found
    assert len({own, *found}) == 1 + len(OTHER), found


def test_fields_that_are_not_in_memory_order_do_not_compile(original, source):
    fields = r'(struct_abi!\(Bytes[^"]*"Bytes"), ([^,]*), ([^)]*)\)'
    path, before = replaced(original, "ffi/abi.rs", fields, r"\1, \3, \2)")
    output = refused(original, "header", "--check")
    path.write_text(before)
    assert "declare the fields in memory order" in output


# ---- Rust's layouts and a C compiler's -----------------------------------------------------


def test_a_header_whose_struct_is_out_of_order_is_refused(original):
    header = original.root / GENERATED[0]
    before = header.read_text()
    fields = re.findall(r"^  uint64_t (?:bytes|lines);$", before, re.M)
    assert len(fields) == 2
    original.edit(header, fields[1], "  uint64_t moved;")
    original.edit(header, fields[0], fields[1])
    original.edit(header, "  uint64_t moved;", fields[0])
    output = refused(original, "lib")
    header.write_text(before)
    assert "Rust and C disagree" in output and "build/x86_64-unknown-linux-gnu/layout.c" in output
    assert "'__builtin_offsetof(struct sample_Tally, bytes) == 0'" in output, output
    assert sorted(path.name for path in original.lib.iterdir()) == ["README.md"]


def test_a_type_without_a_layout_is_refused(original, source):
    gate = original.root / "rust/src/ffi/abi.rs"
    before = gate.read_text()
    line = re.search(r"    struct_abi!\(BytesMut<'static>[^;]*;\n", before).group()
    original.edit(gate, line, "    const SHAPE: u64 = 0;\n")
    output = refused(original, "lib")
    gate.write_text(before)
    assert "does not list the memory layout of sample_BytesMut" in output


# ---- Exports beside the gate, and names that C cannot tell apart ---------------------------

STRAY = {
    "a function": '#[no_mangle]\npub extern "C" fn stray() -> u8 { 1 }\n',
    "under another name": '#[export_name = "stray"]\npub extern "C" fn other() -> u8 { 1 }\n',
    "of a newer edition": '#[unsafe(no_mangle)]\npub extern "C" fn stray() -> u8 { 1 }\n',
    "of a private module": 'mod m {\n    #[no_mangle]\n    extern "C" fn stray() {}\n}\n',
    "with the gate's help": "#[no_mangle]\n"
    'pub extern "C" fn stray() -> u8 { ffi::gate(|| Ok(1)) }\n',
    "a static": "#[no_mangle]\npub static stray: u8 = 1;\n",
    "a method": 'impl Guest {\n    #[no_mangle]\n    pub extern "C" fn stray() {}\n}\n',
    "made by a macro": "macro_rules! make { ($name:ident) => {\n"
    '    #[no_mangle]\n    pub extern "C" fn $name() {}\n} }\nmake!(stray);\n',
    "declared only": 'extern "C" {\n    #[allow(dead_code)]\n    fn stray() -> u8;\n}\n',
}  # fmt: skip
BESIDE = "error: exported without export!, so not covered by the fingerprint: stray; "


@pytest.mark.parametrize("kind", STRAY)
def test_what_is_exported_beside_the_gate_is_refused(original, source, kind):
    original.edit(source, "#![deny(unsafe_code)]", "#![allow(unsafe_code)]")
    source.write_text(source.read_text() + STRAY[kind])
    assert BESIDE in refused(original, "header")
    if kind == "a function":
        # At every build too: what is exported may depend on the target.
        assert BESIDE in refused(original, "lib")


@pytest.fixture
def dependency(original):
    """The source of a crate in rust/, which the library depends on."""
    manifest = original.root / "rust/Cargo.toml"
    lock = original.root / "rust/Cargo.lock"
    before = manifest.read_text(), lock.read_text()
    crate = original.root / "rust/dependency"
    init = [CARGO, "init", "--quiet", "--lib", "--vcs", "none", "--edition", "2021", crate]
    run(*init, cwd=original.root)
    run(CARGO, "add", "--quiet", "--offline", "--path", "dependency", cwd=manifest.parent)
    yield crate / "src/lib.rs"
    shutil.rmtree(crate)
    manifest.write_text(before[0])
    lock.write_text(before[1])


def test_what_a_dependency_exports_is_refused(original, source, dependency):
    # cbindgen does not see it, and it is in the library.
    dependency.write_text('#[no_mangle]\npub extern "C" fn stray() {}\n')
    original.edit(source, "fn count(bytes", "pub use dependency::stray;\n\nfn count(bytes")
    assert BESIDE in refused(original, "header")
    assert BESIDE in refused(original, "lib")


STRUCT = "export_struct! {\n    pub struct Tally {\n        pub a: u8,\n    }\n}\n"
TWICE = {
    "a handle and a private struct of the gate": (
        "pub struct Table(u8);\nexport_handle!(Table);\n",
        "    fn sample_table_free(table: Option<Box<Table>>) -> () {\n"
        "        drop(table);\n        Ok(())\n    }\n",
        "sample_Table would be struct crate::Table and struct crate::ffi::abi::Table",
    ),
    "structs": (
        "#[allow(dead_code, unused_imports)]\nmod m {\n    use crate::ffi::export_struct;\n"
        + STRUCT + "}\n",
        "",
        "sample_Tally would be struct crate::Tally and struct crate::m::Tally",
    ),
    "handles": (
        "mod m {\n    pub struct Guest;\n    crate::ffi::export_handle!(Guest);\n}\n",
        "    fn sample_other_free(guest: Option<Box<m::Guest>>) -> () {\n"
        "        drop(guest);\n        Ok(())\n    }\n",
        "sample_Guest would be struct crate::Guest and struct crate::m::Guest",
    ),
    "an enum and a struct": (
        "#[allow(dead_code)]\nmod m {\n    pub struct Encoding;\n}\n",
        "",
        "sample_Encoding would be enum crate::Encoding and struct crate::m::Encoding",
    ),
    "callbacks": (
        "#[allow(dead_code)]\nmod m {\n    mod n {\n"
        '        pub type Step = Option<extern "C" fn(step: u64) -> u8>;\n    }\n}\n',
        "",
        "sample_Step would be type crate::Step and type crate::m::n::Step",
    ),
    "constants": (
        "mod m {\n    #[allow(dead_code)]\n    pub const ANSWER: i32 = 43;\n}\n",
        "",
        "SAMPLE_ANSWER would be const crate::ANSWER and const crate::m::ANSWER",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", TWICE)
def test_two_items_of_one_name_are_refused(original, source, kind):
    items, export, words = TWICE[kind]
    add_export(original, export)
    source.write_text(source.read_text() + items)
    assert f"error: C has no modules: {words}; rename all but one" in refused(original, "header")


def test_items_of_one_name_that_do_not_cross_are_fine(original, source):
    source.write_text(
        source.read_text()
        + "#[allow(dead_code)]\nmod m {\n    pub struct Lines;\n    pub struct Error;\n"
        "    type Result<T> = std::result::Result<T, Error>;\n    const ANSWER: u8 = 1;\n}\n"
    )
    assert "are up to date" in ffiwheel(original.root, "header", "--check")


def test_words_of_c_are_refused_where_they_would_be_changed_or_misread(original, source):
    original.edit(source, "pub lines: u64", "pub default: u64")
    original.edit(source, "        lines: bytes.iter()", "        default: bytes.iter()")
    text = refused(original, "header")
    assert "error: `default`, a field of Tally, is a word of C or C++: rename it" in text
    source.write_text(source.read_text().replace("default: ", "lines: "))
    add_export(
        original,
        "    fn sample_word(restrict: u8) -> u8 {\n        Ok(restrict)\n    }\n",
    )
    text = refused(original, "header")
    assert "error: `restrict`, a field or an argument, is a word of C or C++: rename it" in text


def test_the_length_of_an_array_is_a_number_or_a_constant_that_c_sees(original, source):
    original.edit(source, "pub bytes: u64", "pub room: [u8; ROOM],\n        pub bytes: u64")
    original.edit(
        source, "        bytes: bytes.len()", "        room: [0; ROOM],\n        bytes: bytes.len()"
    )
    source.write_text(source.read_text() + "const ROOM: usize = 8;\n")
    assert "C does not know the length sample_ROOM: write a number" in refused(original, "header")
    before = contents(original)
    original.edit(source, "\nconst ROOM", "\npub const ROOM")
    original.edit(
        source, "pub const ANSWER", "pub const LEAST: i64 = -9223372036854775808;\npub const ANSWER"
    )
    ffiwheel(original.root, "header")
    header = (original.root / GENERATED[0]).read_text()
    module = (original.root / GENERATED[1]).read_text()
    for name, text in before.items():
        (original.root / name).write_bytes(text)
    assert "uint8_t room[SAMPLE_ROOM];" in header
    # A number without its sign is too large for C.
    assert "#define SAMPLE_LEAST (-9223372036854775807 - 1)" in header
    assert "SAMPLE_LEAST" in module
