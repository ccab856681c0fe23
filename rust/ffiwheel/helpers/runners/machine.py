"""An emulated processor with a library for macOS or Windows in its memory.

unicorn executes the library's instructions. What it imports from its system is done by the
Python functions of LIBSYSTEM and WINDOWS, which get the machine and as many words as they have
parameters. To call one that stands in neither is an error.
"""

import importlib.metadata
import shutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import lief
import unicorn
import ziglang
from unicorn import arm64_const as arm64
from unicorn import x86_const as x86

import process
import roots
from process import Failure
from roots import Skip

lief.logging.disable()

PAGE = 0x1000
# Where things lie; what is not mapped is an error to touch. Images and heap lie where a pointer
# that was cut to 32 bits does not reach.
STUBS, STACK, TEB = 0x1000_0000, 0x2000_0000, 0x3000_0000
LIBRARY, UNWINDER, HEAP = 0x1_0000_0000, 0x2_0000_0000, 0x3_0000_0000
STUB_SIZE, STACK_SIZE = 16, 0x100000
LARGEST = 0x400_0000  # what one call may copy or allocate, in bytes
TIME_LIMIT = 10  # for one function, in seconds
READ, WRITE, EXECUTE = unicorn.UC_PROT_READ, unicorn.UC_PROT_WRITE, unicorn.UC_PROT_EXEC
JUNK = 0xA5  # what fresh memory is full of


# unicorn's numbers for a kind of processor and for the registers of its C calling convention,
# and the instruction that returns. x86 has the return address on the stack, not in a register.
class Processor(NamedTuple):
    kind: tuple[int, int]
    arguments: list[int]
    result: int
    stack: int
    counter: int
    link: int | None
    ret: bytes


PROCESSORS = {
    "arm64": Processor(
        (unicorn.UC_ARCH_ARM64, unicorn.UC_MODE_ARM),
        [getattr(arm64, f"UC_ARM64_REG_X{number}") for number in range(8)],
        arm64.UC_ARM64_REG_X0,
        arm64.UC_ARM64_REG_SP,
        arm64.UC_ARM64_REG_PC,
        arm64.UC_ARM64_REG_LR,
        b"\xc0\x03\x5f\xd6",
    ),
    "x86_64": Processor(
        (unicorn.UC_ARCH_X86, unicorn.UC_MODE_64),
        [getattr(x86, f"UC_X86_REG_{name}") for name in ("RDI", "RSI", "RDX", "RCX", "R8", "R9")],
        x86.UC_X86_REG_RAX,
        x86.UC_X86_REG_RSP,
        x86.UC_X86_REG_RIP,
        None,
        b"\xc3",
    ),
}


def round_up(number: int, step: int) -> int:
    return -(-number // step) * step


def text(name: str | bytes) -> str:
    """A name as lief reads it: bytes where they are no UTF-8."""
    return name if isinstance(name, str) else name.decode("utf-8", "replace")


# What a library imports, in Python: it gets the machine and as many words as it has parameters,
# and returns a word or nothing.
Function = Callable[..., int | None]


class Machine:
    """A processor, its memory, and the calls from Python to a library and back."""

    panics: bool  # whether the unwinder that a panic needs is there

    def __init__(self, architecture: str, model: int, imports: dict[str, Function]) -> None:
        self.processor = PROCESSORS[architecture]
        self.uc = unicorn.Uc(*self.processor.kind)
        self.uc.ctl_set_cpu_model(model)
        if architecture == "x86_64":
            self.uc.reg_write(x86.UC_X86_REG_CR4, 0x600)  # SSE, which a system switches on
        self.imports = imports
        self.exports: dict[str, int] = {}  # addresses, by name
        # Where a call from Python returns to.
        self.stubs: list[tuple[str, Function | None]] = [("the caller", None)]
        # What is allocated, by address: its pages and its own size.
        self.blocks: dict[int, tuple[int, int, int]] = {}
        self.next_block = HEAP
        self.written = {1: b"", 2: b""}  # to standard output and standard error
        self.fault: str | None = None
        stub = self.processor.ret.ljust(STUB_SIZE, b"\0")
        self.map(STUBS, PAGE, READ | EXECUTE, stub * (PAGE // STUB_SIZE))
        self.map(STACK, STACK_SIZE, READ | WRITE)
        self.uc.hook_add(unicorn.UC_HOOK_CODE, self.enter_stub, None, STUBS, STUBS + PAGE - 1)
        self.uc.hook_add(unicorn.UC_HOOK_MEM_INVALID, self.note_fault)

    # Memory

    def map(self, address: int, size: int, protection: int, content: bytes = b"") -> None:
        size = round_up(size, PAGE)
        self.uc.mem_map(address, size, protection)
        self.uc.mem_write(address, content[:size])

    def read(self, address: int, size: int) -> bytes:
        try:
            return bytes(self.uc.mem_read(address, min(size, LARGEST)))
        except unicorn.UcError:
            raise Failure(f"it reads {size} bytes at {address:#x}") from None

    def write(self, address: int, content: bytes) -> int:
        try:
            self.uc.mem_write(address, content)
        except unicorn.UcError:
            raise Failure(f"it writes {len(content)} bytes at {address:#x}") from None
        return address

    def word(self, address: int) -> int:
        return int.from_bytes(self.read(address, 8), "little")

    def set_words(self, address: int, *words: int) -> None:
        self.write(address, b"".join((word % 2**64).to_bytes(8, "little") for word in words))

    def string(self, address: int) -> bytes:
        """The bytes before the next NUL."""
        end = address
        while self.read(end, 1) != b"\0":
            end += 1
        return self.read(address, end - address)

    def copy(self, target: int, source: int, size: int) -> int:
        return self.write(target, self.read(source, size))

    def clear(self, address: int, size: int) -> int:
        return self.write(address, bytes(min(size, LARGEST)))

    def compare(self, one: int, other: int, size: int) -> int:
        ours, theirs = self.read(one, size), self.read(other, size)
        return (ours > theirs) - (ours < theirs)

    def print(self, stream: int, address: int, size: int) -> int:
        self.written[stream % 2**32] += self.read(address, size)
        return size

    def allocate(self, size: int, fill: int = JUNK) -> int:
        """A block, aligned to 16 bytes, at the end of pages of its own: what is beyond it, and
        the block itself once it is freed, is not mapped."""
        if size > LARGEST:
            raise Failure(f"it allocates {size} bytes")
        pages = round_up(max(size, 1), PAGE)
        self.map(self.next_block, pages, READ | WRITE, bytes([fill]) * pages)
        address = self.next_block + pages - round_up(size, 16)
        self.blocks[address] = (self.next_block, pages, size)
        self.next_block += pages + PAGE
        return address

    def reallocate(self, old: int, size: int) -> int:
        new = self.allocate(size)
        if old:
            self.copy(new, old, min(size, self.block(old)[2]))
            self.free(old)
        return new

    def block(self, address: int) -> tuple[int, int, int]:
        if address not in self.blocks:
            raise Failure(f"{address:#x} is not allocated")
        return self.blocks[address]

    def free(self, address: int) -> None:
        if address:
            start, pages, _ = self.block(address)
            self.uc.mem_unmap(start, pages)
            del self.blocks[address]

    # Calls

    def stub(self, name: str, function: Function | None) -> int:
        """An address: what is executed there calls `function(machine, *words)`."""
        if len(self.stubs) == PAGE // STUB_SIZE:
            raise Failure("it imports more functions than machine.py has room for")
        self.stubs.append((name, function))
        return STUBS + (len(self.stubs) - 1) * STUB_SIZE

    def imported(self, name: str) -> int:
        """The address of what the library imports by a name."""
        return self.exports.get(name) or self.stub(name, self.imports.get(name))

    def enter_stub(self, _uc: unicorn.Uc, address: int, _size: int, _data: object) -> None:
        name, function = self.stubs[(address - STUBS) // STUB_SIZE]
        if not function:
            raise Failure(f"machine.py has no {name}")
        registers = self.processor.arguments[: function.__code__.co_argcount - 1]
        result = function(self, *[self.uc.reg_read(register) for register in registers])
        if result is not None:
            self.uc.reg_write(self.processor.result, result % 2**64)

    def note_fault(
        self, _uc: unicorn.Uc, _access: int, address: int, size: int, _value: int, _data: object
    ) -> bool:
        self.fault = f"{size} bytes at {address:#x}"
        return False

    def place(self) -> str:
        """Where the processor stands, as text."""
        address: int = self.uc.reg_read(self.processor.counter)
        if STUBS <= address < STUBS + len(self.stubs) * STUB_SIZE:
            return self.stubs[(address - STUBS) // STUB_SIZE][0]
        if LIBRARY <= address < UNWINDER:
            return f"pc {address - LIBRARY:#x} of the library"
        return f"pc {address:#x}"

    def execute(self, name: str, address: int, *words: int) -> int:
        """Calls what is at an address; returns the result, a word."""
        processor, uc = self.processor, self.uc
        for register, word in zip(processor.arguments, words):
            uc.reg_write(register, word % 2**64)
        stack = STACK + STACK_SIZE - PAGE
        if processor.link is None:
            stack -= 8
            self.set_words(stack, STUBS)
        else:
            uc.reg_write(processor.link, STUBS)
        uc.reg_write(processor.stack, stack)
        self.fault = None
        try:
            uc.emu_start(address, STUBS, timeout=TIME_LIMIT * 1_000_000)
            if uc.reg_read(processor.counter) != STUBS:
                raise Failure(f"no end after {TIME_LIMIT} seconds")
        except (unicorn.UcError, Failure) as error:
            what = f"{error}, {self.fault}" if self.fault else error
            said = self.written[2].decode("utf-8", "replace")
            raise Failure(f"{name}: {what}, in {self.place()}\n{said}".strip()) from None
        result: int = uc.reg_read(processor.result)
        return result

    def call(self, name: str, *arguments: int | bytes, bits: int = 64) -> int:
        """Calls an exported function; returns its result as a signed number of so many bits.

        An argument is a number, or bytes, which are lent for the call.
        """
        if name not in self.exports:
            raise Failure(f"{name} is not exported")
        lent, words = [], []
        for argument in arguments:
            if isinstance(argument, bytes):
                argument = self.write(self.allocate(len(argument)), argument)
                lent.append(argument)
            words.append(argument)
        result = self.execute(name, self.exports[name], *words) % (1 << bits)
        for address in lent:
            self.free(address)
        return result - (1 << bits) if result >> (bits - 1) else result


def check_file(path: Path, found: Iterable[str], expected: list[str], ends: Iterable[int]) -> None:
    """Compares a library's architectures with those of its wheel, and the size of its file with
    where the parts of it end."""
    if sorted(found) != sorted(expected):
        wrong, right = " and ".join(sorted(found)), " and ".join(sorted(expected))
        raise Failure(f"{path.name} is for {wrong}, its wheel for {right}")
    size, end = path.stat().st_size, max(ends, default=0)
    if size < end:
        raise Failure(f"{path.name} is cut off: {size} bytes of {end}")


def nothing(machine: Machine) -> int:
    """For locks and their like: there is one thread, and it never ends."""
    return 0


# macOS


def abort(machine: Machine) -> None:
    raise Failure("it gives up")


def find_unwind_sections(machine: "MacOS", address: int, result: int) -> int:
    """Fills a `dyld_unwind_sections`: the image that holds the address, then start and size of
    its `__eh_frame` and of its `__unwind_info`. llvm-project: libunwind/src/AddressSpace.hpp"""
    for base, size, sections in machine.images:
        if base <= address < base + size:
            machine.set_words(result, base, *sections)
            return 1
    return 0


# By their names in C.
LOCKS = """mutex_init mutex_lock mutex_unlock mutexattr_destroy mutexattr_init mutexattr_settype
rwlock_rdlock rwlock_unlock"""
LIBSYSTEM: dict[str, Function] = {
    "__bzero": Machine.clear,
    "_dyld_find_unwind_sections": find_unwind_sections,
    "_tlv_atexit": nothing,
    # The descriptor of a thread's variable: this function; a word of the loader, who leaves the
    # address of all variables there; the variable's offset. dyld: ThreadLocalVariables
    "_tlv_bootstrap": lambda machine, place: machine.word(place + 8) + machine.word(place + 16),
    "abort": abort,
    "bzero": Machine.clear,
    "free": Machine.free,
    "malloc": lambda machine, size: machine.allocate(size),
    "memcmp": Machine.compare,
    "memcpy": Machine.copy,
    "memmove": Machine.copy,
    "realloc": Machine.reallocate,
    "strlen": lambda machine, address: len(machine.string(address)),
    "write": Machine.print,
    **{f"pthread_{what}": nothing for what in LOCKS.split()},
}


class MacOS(Machine):
    """A slice of a library, and the unwinder that its panics need."""

    # The oldest x86_64 that Rust compiles for there; `max` can what Apple's M1 can.
    MODELS = {"arm64": arm64.UC_CPU_ARM64_MAX, "x86_64": x86.UC_CPU_X86_PENRYN}
    panics = True

    def __init__(self, architecture: str, library: lief.MachO.Binary) -> None:
        super().__init__(architecture, self.MODELS[architecture], LIBSYSTEM)
        self.images: list[tuple[int, int, list[int]]] = []
        fat = lief.MachO.parse(str(unwinder(architecture)))
        image = fat and fat.at(0)
        assert image
        self.exports = self.load(image, UNWINDER)
        self.exports = self.load(library, LIBRARY)

    @classmethod
    def open(cls, path: Path, expected: list[str]) -> dict[str, Machine]:
        """A machine for each slice of a library, by its architecture."""
        fat = lief.MachO.parse(str(path))  # lief frees the slices with it
        if not fat:
            raise Failure(f"{path.name} is no Mach-O library that can be read")
        slices = {slice.header.cpu_type.name.lower(): slice for slice in fat}
        ends = [
            slice.fat_offset + segment.file_offset + segment.file_size
            for slice in fat
            for segment in slice.segments
        ]
        check_file(path, slices, expected, ends)
        return {name: cls(name, slice) for name, slice in slices.items()}

    def load(self, library: lief.MachO.Binary, base: int) -> dict[str, int]:
        """Maps a library whose own addresses begin with 0; returns what it exports."""
        for segment in library.segments:
            protection = int(segment.init_protection)  # Apple's bits are unicorn's
            start, content = base + segment.virtual_address, bytes(segment.content)
            self.map(start, segment.virtual_size, protection, content)
        for relocation in library.relocations:
            place = base + relocation.address
            if isinstance(relocation, lief.MachO.RelocationFixup):  # a chained one
                target = relocation.target
            else:
                target = self.word(place)
            self.set_words(place, base + target)
        for section in library.sections:
            if section.type.name in ("MOD_INIT_FUNC_POINTERS", "INIT_FUNC_OFFSETS"):
                raise Skip(f"the emulator runs no initialisers ({text(section.name)})")
        sections = {
            section.name: (base + section.virtual_address, section.size)
            for section in library.sections
        }
        variables = 0
        values = [sections[name] for name in ("__thread_data", "__thread_bss") if name in sections]
        if values:
            start, end = values[0][0], sum(values[-1])
            variables = self.copy(self.allocate(end - start), start, end - start)
        for binding in library.bindings:
            assert binding.symbol
            place = base + binding.address
            name = text(binding.symbol.name).removeprefix("_").split("$")[0]
            self.set_words(place, self.imported(name) + binding.addend)
            if name == "_tlv_bootstrap":
                self.set_words(place + 8, variables)
        unwind = [*sections.get("__eh_frame", (0, 0)), *sections.get("__unwind_info", (0, 0))]
        self.images.append((base, library.virtual_size, unwind))
        exported = library.exported_symbols
        return {text(symbol.name).removeprefix("_"): base + symbol.value for symbol in exported}


def unwinder(architecture: str) -> Path:
    """The path of LLVM's libunwind, of which macOS has a fork. zig brings the source."""
    source = Path(ziglang.__file__).parent / "lib/libunwind"
    files = ["libunwind.cpp", "UnwindLevel1.c", "UnwindLevel1-gcc-ext.c"]
    files += ["UnwindRegistersRestore.S", "UnwindRegistersSave.S"]
    target = {"arm64": "aarch64-macos", "x86_64": "x86_64-macos"}[architecture]
    flags = ["-target", target, "-shared", "-O1", "-s", "-DNDEBUG", "-D_LIBUNWIND_IS_NATIVE_ONLY"]
    flags += ["-fno-exceptions", "-fno-rtti", "-funwind-tables", "-nostdlib++"]

    def make(folder: Path) -> None:
        cache = str(folder / "zig")
        env = process.environment(ZIG_GLOBAL_CACHE_DIR=cache, ZIG_LOCAL_CACHE_DIR=cache)
        zig = [sys.executable, "-m", "ziglang", "c++", *flags, f"-I{source}/include"]
        paths = [source / "src" / name for name in files]
        try:
            process.run([*zig, *paths, "-o", folder / "libunwind.dylib"], env=env)
        except Failure as failure:
            raise Skip(f"zig cannot build libunwind: {failure}") from None
        shutil.rmtree(cache)

    recipe = " ".join([importlib.metadata.version("ziglang"), *flags, *files])
    return roots.cached(f"libunwind-{target}", recipe, make) / "libunwind.dylib"


# Windows


def write_file(
    machine: Machine,
    handle: int,
    event: int,
    routine: int,
    context: int,
    status: int,
    content: int,
    size: int,
    offset: int,
) -> int:
    """NtWriteFile. Its status, an IO_STATUS_BLOCK: 0 for success, and the bytes written."""
    size = machine.print(handle, content, size % 2**32)
    machine.set_words(status, 0, size)
    return 0


def run_initialisers(machine: Machine, start: int, end: int) -> int:
    """_initterm and _initterm_e call each address, if it is not NULL, in a list."""
    if any(machine.read(start, end - start)):
        raise Skip("the emulator runs no initialisers in C")
    return 0


STANDARD_HANDLES = {2**32 - 11: 1, 2**32 - 12: 2}
ZERO_MEMORY = 8
WINDOWS: dict[str, Function] = {
    "GetConsoleMode": nothing,  # it is no console
    "GetProcessHeap": lambda machine: 1,
    "GetStdHandle": lambda machine, number: STANDARD_HANDLES[number % 2**32],
    "HeapAlloc": lambda machine, heap, flags, size: machine.allocate(
        size, 0 if flags & ZERO_MEMORY else JUNK
    ),
    "HeapFree": lambda machine, heap, flags, address: machine.free(address) or 1,
    "HeapReAlloc": lambda machine, heap, flags, old, size: machine.reallocate(old, size),
    "InitializeCriticalSection": nothing,
    "NtWriteFile": write_file,
    "_initialize_onexit_table": nothing,
    "_initterm": run_initialisers,
    "_initterm_e": run_initialisers,
    "_register_onexit_function": nothing,
}


class Windows(Machine):
    """A DLL for ARM64. A panic is out of reach: Windows itself unwinds the stack."""

    panics = False

    def __init__(self, library: lief.PE.Binary, headers: bytes) -> None:
        # ARMv8.0, which Windows asks for.
        super().__init__("arm64", arm64.UC_CPU_ARM64_A72, WINDOWS)
        slide = LIBRARY - library.optional_header.imagebase
        self.map(LIBRARY, len(headers), READ, headers)
        for section in library.sections:
            bits = section.characteristics >> 29  # execute, read, write
            protection = (bits & 1 and EXECUTE) | (bits & 2 and READ) | (bits & 4 and WRITE)
            start, content = LIBRARY + section.virtual_address, bytes(section.content)
            self.map(start, section.virtual_size, protection, content)
        for block in library.relocations:
            for entry in block.entries:
                if entry.type == lief.PE.RelocationEntry.BASE_TYPES.DIR64:
                    place = LIBRARY + entry.address
                    self.set_words(place, self.word(place) + slide)
        for dll in library.imports:
            for taken in dll.entries:
                self.set_words(LIBRARY + taken.iat_address, self.imported(text(taken.name)))
        exported = library.get_export()
        if exported:
            self.exports = {text(one.name): LIBRARY + one.address for one in exported.entries}
        # As the loader does: the thread's variables, whose address is the first and only one in
        # the list that the Thread Environment Block has at 0x58.
        tls = library.tls
        if not tls:
            raise Failure("it has no variables of a thread")
        values = bytes(tls.data_template) + bytes(tls.sizeof_zero_fill)
        variables, blocks = self.allocate(len(values)), self.allocate(8)
        self.write(variables, values)
        self.set_words(blocks, variables)
        self.write(tls.addressof_index + slide, bytes(4))
        self.map(TEB, PAGE, READ | WRITE)
        self.set_words(TEB + 0x58, blocks)
        self.uc.reg_write(arm64.UC_ARM64_REG_X18, TEB)
        for start in tls.callbacks:
            self.execute("a callback of the loader", start + slide, LIBRARY, 1, 0)
        if not self.execute("DllMain", library.entrypoint + slide, LIBRARY, 1, 0) % 2**32:
            raise Failure("DllMain says that it failed")

    @classmethod
    def open(cls, path: Path, expected: list[str]) -> dict[str, Machine]:
        """A machine for a DLL, by its architecture."""
        library = lief.PE.parse(str(path))
        if not library:
            raise Failure(f"{path.name} is no DLL that can be read")
        name = library.header.machine.name.lower()
        ends = [section.offset + section.sizeof_raw_data for section in library.sections]
        check_file(path, [name], expected, ends)
        headers = path.read_bytes()[: library.optional_header.sizeof_headers]
        return {name: cls(library, headers)}
