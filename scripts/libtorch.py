"""Makes a folder with the CPU half of libtorch out of the wheels that pip finds: python3 libtorch.py FOLDER

The Linux wheel of torch is a CUDA build, but `libtorch_cpu.so` stands alone beside `libc10.so`, a few small libraries and
two CUDA runtime libraries that it is linked to. They lie next to each other in the wheel, so HTTP range requests fetch
some 150 MB instead of 540. pip says where the wheels are, so its index, proxies and credentials hold; where ranges do
not work for whatever reason, `pip download` fetches the whole wheels. Either way every file is checked against the
wheel's RECORD, and RECORD against the hash written here.
"""

import base64
import contextlib
import csv
import fcntl
import fnmatch
import hashlib
import importlib.util
import io
import os
import platform
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from pathlib import Path

VERSION = "2.11.0"  # tch 0.24 belongs to this version
BUILD_VERSION = VERSION + "+cpu"

# The wheels' tags, not those of the Python that runs this: C++ does not care, and so there is one wheel to know.
TAGS = ["--only-binary=:all:", "--implementation", "cp", "--python-version", "3.12"]

# (requirement, {machine: (file name, SHA-256 of its RECORD)}, {pattern of a member: (prefix to cut, folder to put it in)})
WHEELS = [
    (
        "torch==" + VERSION,
        {
            "x86_64": (
                "torch-2.11.0-cp312-cp312-manylinux_2_28_x86_64.whl",
                "64d76220aff1572ba2ee949e3c4e5633a21f7aa626c634ee1730609464777fc5",
            ),
            "aarch64": (
                "torch-2.11.0-cp312-cp312-manylinux_2_28_aarch64.whl",
                "663b5a78dd5e8d72032e95225ad4e0caac07fbfda69cd4c12b3f8823f6e91a27",
            ),
        },
        {
            "torch/include/*": ("torch/include/", "include"),
            "torch/lib/libtorch_cpu.so": ("torch/lib/", "lib"),
            "torch/lib/libc10.so": ("torch/lib/", "lib"),
            "torch/lib/libgomp*.so*": ("torch/lib/", "lib"),
            # BLAS and convolutions of the aarch64 build.
            "torch/lib/libarm_compute*.so*": ("torch/lib/", "lib"),
            "torch/lib/libnvpl_*.so*": ("torch/lib/", "lib"),
            "torch/lib/libgfortran*.so*": ("torch/lib/", "lib"),
        },
    ),
    (
        "nvidia-cuda-runtime==13.0.96",
        {
            "x86_64": (
                "nvidia_cuda_runtime-13.0.96-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
                "34c7a65651597fd8a376b049b69bb26db399a9ea443a7a142ccd34f5a10f79c4",
            ),
            "aarch64": (
                "nvidia_cuda_runtime-13.0.96-py3-none-manylinux2014_aarch64.manylinux_2_17_aarch64.whl",
                "8ff0b015e7bb39dbf9cfc2a997cdb581914c6661dbbdbc1a71c7cc3da6a4dc11",
            ),
        },
        {"nvidia/cu13/lib/libcudart.so.13": ("nvidia/cu13/lib/", "lib")},
    ),
    (
        "nvidia-cuda-cupti==13.0.85",
        {
            "x86_64": (
                "nvidia_cuda_cupti-13.0.85-py3-none-manylinux_2_25_x86_64.whl",
                "f8ae8ddce85f8e319abac90e956bf45a572e31f4ff01af2d634f37aa3d78e3eb",
            ),
            "aarch64": (
                "nvidia_cuda_cupti-13.0.85-py3-none-manylinux_2_25_aarch64.whl",
                "d26eaae605b8bd5e97a7355a3938d2213f2062f0f23d2afd1c00c9d8647cf4a6",
            ),
        },
        {"nvidia/cu13/lib/libcupti.so.13": ("nvidia/cu13/lib/", "lib")},
    ),
]

BLOCK = 8 << 20  # bytes a range request
TIMEOUT = 60  # seconds without a byte
ATTEMPTS = 3
BROKEN_ARCHIVE = (zipfile.BadZipFile, zlib.error, EOFError)


class Failure(Exception):
    """Ends the program with this message."""


class RangesRefused(Exception):
    """The server, or something on the way to it, does not serve this URL piece by piece."""


def say(text):
    print("libtorch: " + text, file=sys.stderr, flush=True)


class RemoteFile(io.RawIOBase):
    """A file behind HTTP, read by range requests."""

    def __init__(self, url):
        super().__init__()
        self.url = url
        self.position = 0
        self.transferred = 0
        self.size = None
        self.size = int(self._get(0, 0)[1])

    def _get(self, first, last):
        """The bytes from `first` to `last`, both included, and the file's size."""
        request = urllib.request.Request(self.url, headers={"Range": f"bytes={first}-{last}"})
        for attempt in range(ATTEMPTS):
            try:
                with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
                    answered = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", response.headers.get("Content-Range", ""))
                    if response.status != 206 or not answered or int(answered[1]) != first:
                        raise RangesRefused(f"asked for a range, got status {response.status}")
                    data = response.read()
                if len(data) != last - first + 1:
                    raise OSError(f"{len(data)} bytes instead of {last - first + 1}")
                self.transferred += len(data)
                return data, answered[3]
            except urllib.error.HTTPError as error:
                raise RangesRefused(f"status {error.code}") from error
            except OSError as error:
                if attempt == ATTEMPTS - 1:
                    raise RangesRefused(str(error)) from error
                time.sleep(1 << attempt)
        raise AssertionError("unreachable")

    def seekable(self):
        return True

    def readable(self):
        return True

    def tell(self):
        return self.position

    def seek(self, offset, whence=io.SEEK_SET):
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise OSError("seek before the start of the file")
        self.position = base + offset
        return self.position

    def readinto(self, buffer):
        count = min(len(buffer), self.size - self.position)
        if count <= 0:
            return 0
        buffer[:count] = self._get(self.position, self.position + count - 1)[0]
        self.position += count
        return count


def pip(arguments, scratch=None):
    """Runs pip of this Python and returns what it prints; its errors go where ours go."""
    environment = dict(os.environ, PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1")
    if scratch is not None:
        environment["TMPDIR"] = str(scratch)  # half a gigabyte does not fit into every /tmp
    command = [sys.executable, "-m", "pip", *arguments]
    capture = None if scratch is not None else subprocess.PIPE
    return subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=capture or sys.stderr,
                          stderr=capture, text=True, errors="replace")


def find_url(requirement, file_name):
    """Where pip would take the wheel from, or None. `pip install --dry-run --report` would tell too, but fetches it all."""
    project = requirement.split("==")[0]
    found = pip(["index", "versions", "-vv", *TAGS, project])
    for link in re.findall(r"Found link (https?://\S+)", found.stdout):
        url = link.split("#")[0]
        if url.rsplit("/", 1)[1] == file_name:
            return url
    return None


def download(requirement, file_name, folder):
    """Fetches a whole wheel with pip."""
    folder.mkdir(exist_ok=True)
    say(f"pip downloads {requirement}")
    status = pip(["download", "--no-deps", "--no-cache-dir", *TAGS, "--dest", str(folder), requirement], folder).returncode
    if status != 0:
        raise Failure(
            f"`pip download {requirement}` failed, see above. Where the network is not to blame, pip may be too old for this kind of wheel: "
            "`python3 -m pip install --upgrade pip` inside a virtual environment helps there. Or set LIBTORCH to a "
            f"libtorch {VERSION}, or LIBTORCH_USE_PYTORCH=1 where Python has torch {VERSION}."
        )
    wheel = folder / file_name
    if not wheel.exists():
        others = ", ".join(sorted(path.name for path in folder.glob("*.whl"))) or "nothing"
        raise Failure(f"pip fetched {others}, not {file_name}: its index serves other builds; set LIBTORCH to one of them")
    return wheel


def checksums(archive, file_name, record_sha256):
    """The SHA-256 of every member, as the wheel's RECORD states it."""
    name, version = file_name.split("-")[:2]
    record = archive.read(f"{name}-{version}.dist-info/RECORD")
    if hashlib.sha256(record).hexdigest() != record_sha256:
        raise Failure(f"{file_name}: its RECORD is not the one that was published")
    rows = csv.reader(io.StringIO(record.decode()))
    return {row[0]: row[1][len("sha256="):] for row in rows if row[1].startswith("sha256=")}


def extract_member(archive, info, expected, target):
    """Writes one member to `target` and checks its hash."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with archive.open(info) as source, open(target, "wb") as sink:
        for block in iter(lambda: source.read(1 << 20), b""):
            digest.update(block)
            sink.write(block)
    found = base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()
    if found != expected:
        raise Failure(f"{info.filename}: SHA-256 is {found}, the wheel's RECORD says {expected}")


def extract(source, wheel, members, root):
    """Writes the wanted members of a wheel under `root`."""
    file_name, record_sha256 = wheel
    with zipfile.ZipFile(source) as archive:
        expected = checksums(archive, file_name, record_sha256)
        count = 0
        for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
            pattern = next((pattern for pattern in members if fnmatch.fnmatchcase(info.filename, pattern)), None)
            if pattern is None or info.is_dir():
                continue
            prefix, folder = members[pattern]
            inside = info.filename[len(prefix):]
            if ".." in inside.split("/"):
                raise Failure(f"{file_name}: member {info.filename} leaves its folder")
            extract_member(archive, info, expected.get(info.filename), root / folder / inside)
            count += 1
    if count == 0:
        raise Failure(f"{file_name}: none of the files wanted is in it")


def fetch(requirement, wheel, members, root, downloads):
    """One wheel's files: by range requests, else out of the whole wheel."""
    file_name = wheel[0]
    url = find_url(requirement, file_name)
    if url is None:
        say(f"pip does not tell where {file_name} is")
    else:
        say(f"fetches a part of {file_name}")
        try:
            remote = RemoteFile(url)
            extract(io.BufferedReader(remote, BLOCK), wheel, members, root)
            say(f"  {remote.transferred / 1e6:.0f} of {remote.size / 1e6:.0f} MB")
            return
        except (RangesRefused, *BROKEN_ARCHIVE) as error:
            say(f"  not possible by range requests ({error})")
    path = download(requirement, file_name, downloads)
    extract(path, wheel, members, root)
    path.unlink()


def strip(library):
    """Drops the symbols that only a debugger wants: 90 MB."""
    if shutil.which("strip") is None:
        return
    if subprocess.run(["strip", "--strip-unneeded", str(library)]).returncode != 0:
        say(f"`strip` failed on {library.name}; it stays as it is")


def check_loads(library):
    """Says so where the dynamic linker does not take the result, which is plainer here than at the end of a build."""
    program = "import ctypes, sys; ctypes.CDLL(sys.argv[1])"
    loaded = subprocess.run([sys.executable, "-c", program, str(library)], stderr=subprocess.PIPE, text=True)
    if loaded.returncode != 0:
        reason = (loaded.stderr.strip().splitlines() or [f"status {loaded.returncode}"])[-1]
        say(f"warning: {library.name} does not load into {sys.executable}: {reason}")


def assemble(machine, root, downloads):
    """Builds a whole libtorch folder at `root`."""
    for requirement, wheels, members in WHEELS:
        fetch(requirement, wheels[machine], members, root, downloads)
    library = root / "lib" / "libtorch_cpu.so"
    strip(library)
    # `-ltorch` is on torch-sys' link line; the wheel's own libtorch.so would pull in CUDA.
    (root / "lib" / "libtorch.so").symlink_to("libtorch_cpu.so")
    check_loads(library)
    (root / "build-version").write_text(BUILD_VERSION + "\n")
    os.sync()


def installed(folder):
    """The version in `folder`, None where there is no libtorch."""
    try:
        return (folder / "build-version").read_text(errors="replace").strip()
    except OSError:
        return None


@contextlib.contextmanager
def alone(work):
    """Holds the work folder's lock, so that two processes at once fetch one libtorch. Removes the folder at the end."""
    while True:
        work.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError), open(work / "lock", "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("waits for another process that fetches libtorch")
                fcntl.flock(lock, fcntl.LOCK_EX)
            # Whoever had it before may have removed the folder; then the lock that counts is another file.
            if os.fstat(lock.fileno()).st_ino == os.stat(work / "lock").st_ino:
                try:
                    yield
                finally:
                    shutil.rmtree(work)
                return


def install(folder):
    """Makes `folder` a libtorch, unless it is one."""
    found = installed(folder)
    if found == BUILD_VERSION:
        say(f"{BUILD_VERSION} is in {folder.name}/, nothing to do")
        return
    machine = platform.machine()
    if sys.platform != "linux" or machine not in WHEELS[0][1]:
        raise Failure(f"no CPU build to be had for {sys.platform} {machine}: set LIBTORCH to a libtorch {VERSION}")
    if folder.is_symlink():
        raise Failure(f"{folder.name} is a link to a libtorch {found or 'without build-version'}, wanted {BUILD_VERSION}: remove it")
    if importlib.util.find_spec("pip") is None:
        raise Failure(f"{sys.executable} has no pip: install it (python3-pip, or `python3 -m ensurepip`)")
    work = folder.with_name(folder.name + ".part")
    root = work / "libtorch"
    started = time.monotonic()
    with alone(work):
        if installed(folder) == BUILD_VERSION:
            say("the other process did it")
            return
        for rest in work.iterdir():
            if rest.is_dir():
                shutil.rmtree(rest)
        assemble(machine, root, work / "wheels")
        if folder.exists():
            say(f"replaces {folder.name}/, which held {found or 'no complete libtorch'}")
            folder.rename(work / "old")
        root.rename(folder)
    say(f"{BUILD_VERSION} is in {folder.name}/ after {time.monotonic() - started:.0f} s")


def main(arguments):
    if len(arguments) != 1:
        print(__doc__.splitlines()[0], file=sys.stderr)
        return 2
    if sys.version_info < (3, 9):
        say(f"{sys.executable} is Python {platform.python_version()}, needs 3.9 or newer")
        return 1
    folder = Path(arguments[0]).absolute()
    for name in ("LIBTORCH_USE_PYTORCH", "LIBTORCH"):
        if name in os.environ and not (name == "LIBTORCH" and Path(os.environ[name]).absolute() == folder):
            say(f"{name}={os.environ[name]} is set, so that one is used and nothing is fetched")
            return 0
    try:
        install(folder)
    except (Failure, OSError, *BROKEN_ARCHIVE) as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        say("stopped")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
