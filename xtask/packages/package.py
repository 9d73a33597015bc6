"""Opens a wheel or a folder, and reads files of it as text; never imports, unpacks or runs any of them."""

import os
import re
import stat
import struct
import zipfile
import zlib

# Several times what the largest wheel that we follow has.
LARGEST_WHEEL = 64 << 20
MOST_ENTRIES = 20_000
LARGEST_UNPACKED = 256 << 20
LARGEST_FILE = 4 << 20
MOST_READ = 32 << 20

BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
    RuntimeError,
    EOFError,
    ValueError,
    struct.error,
    OSError,
)


class Refused(Exception):
    """Why nothing of a package can be read."""


def open_package(path):
    """The files of a wheel or of a folder."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:
        raise Refused(f"it cannot be read: {error}") from None
    if stat.S_ISDIR(mode):
        return Folder(path)
    if stat.S_ISREG(mode):
        return Wheel(path)
    raise Refused("it is neither a file nor a folder")


class Package:
    """What both kinds share. Names of files are relative to what was opened, with slashes."""

    def __init__(self):
        self.names = set()
        self.links = set()
        self.was_read = 0
        self.dated = None

    def text(self, name):
        if name in self.links:
            raise Refused(f"{name} is a symbolic link, which is not followed")
        data = self.data(name)
        if len(data) > LARGEST_FILE:
            raise Refused(f"{name} is larger than {LARGEST_FILE} bytes")
        self.was_read += len(data)
        if self.was_read > MOST_READ:
            raise Refused(f"more than {MOST_READ} bytes of it would have to be read")
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise Refused(f"{name} is not UTF-8: {error}") from None

    def has(self, name):
        return name in self.names or name in self.links

    def about(self):
        """The name and the version that the package's metadata says, none where it has none."""
        found = [name for name in self.names if re.fullmatch(r"(?:[^/]+/)?[^/]+\.dist-info/METADATA", name)]
        if len(found) != 1:
            return None, None
        # Its headers end with the first empty line.
        headers = re.split(r"\r?\n\r?\n", self.text(found[0]), maxsplit=1)[0]
        said = (re.search(rf"^{key}: *(\S.*?)\s*$", headers, re.MULTILINE) for key in ("Name", "Version"))
        return tuple(found and found[1] for found in said)


class Wheel(Package):
    def __init__(self, path):
        super().__init__()
        if os.path.getsize(path) > LARGEST_WHEEL:
            raise Refused(f"it is larger than {LARGEST_WHEEL} bytes")
        try:
            self.archive = zipfile.ZipFile(path)
            self.entries = self.checked(self.archive.infolist())
        except BROKEN as error:
            raise Refused(f"it is not a wheel that can be read: {error}") from None
        self.names = set(self.entries)
        self.dated = self.date()

    def checked(self, entries):
        if len(entries) > MOST_ENTRIES:
            raise Refused(f"it holds more than {MOST_ENTRIES} files")
        if sum(entry.file_size for entry in entries) > LARGEST_UNPACKED:
            raise Refused(f"it would unpack to more than {LARGEST_UNPACKED} bytes")
        found = {}
        for entry in entries:
            name = entry.filename
            parts = name.rstrip("/").split("/")
            if (
                name != entry.orig_filename
                or "\\" in name
                or ":" in name
                or any(part in ("", ".", "..") for part in parts)
            ):
                raise Refused(f"the name {entry.orig_filename!r} in it would lead out of its folder")
            if stat.S_ISLNK(entry.external_attr >> 16):
                raise Refused(f"{name} in it is a symbolic link")
            if name in found:
                raise Refused(f"{name} is in it twice")
            if not entry.is_dir():
                found[name] = entry
        return found

    def data(self, name):
        entry = self.entries[name]
        if entry.file_size > LARGEST_FILE:
            raise Refused(f"{name} is larger than {LARGEST_FILE} bytes")
        try:
            with self.archive.open(entry) as file:
                return file.read(LARGEST_FILE + 1)
        except BROKEN as error:
            raise Refused(f"{name} cannot be read: {error}") from None

    def date(self):
        """The newest date of its files. None when all have one midnight: a build that can be repeated sets such."""
        dates = {entry.date_time for entry in self.entries.values()}
        if not dates or (len(dates) == 1 and next(iter(dates))[3:] == (0, 0, 0)):
            return None
        year, month, day, *_ = max(dates)
        return f"{year:04}-{month:02}-{day:02}"


class Folder(Package):
    """Its files have the dates of their unpacking, which say nothing."""

    def __init__(self, path):
        super().__init__()
        self.root = path
        count = 0
        for where, folders, files in os.walk(path, followlinks=False):
            folders[:] = [name for name in folders if name not in (".git", "__pycache__", "node_modules", "target")]
            count += len(folders) + len(files)
            if count > MOST_ENTRIES:
                raise Refused(f"it holds more than {MOST_ENTRIES} files: name the folder of the package itself")
            for name in folders + files:
                full = os.path.join(where, name)
                relative = os.path.relpath(full, path).replace(os.sep, "/")
                mode = os.lstat(full).st_mode
                if stat.S_ISLNK(mode):
                    self.links.add(relative)
                elif stat.S_ISREG(mode):
                    self.names.add(relative)

    def data(self, name):
        try:
            handle = os.open(os.path.join(self.root, name), os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
            with open(handle, "rb") as file:
                return file.read(LARGEST_FILE + 1)
        except OSError as error:
            raise Refused(f"{name} cannot be read: {error}") from None
