//! Owns the trials of wheels and folders that were made to do harm, or are broken: each is refused in words, within
//! bounds, and nothing of it is run or written.

use std::{fs, path::Path, process::Command};

use xtask::drift::{Request, fetch::Limits};

use crate::{
    drift,
    packages::{Package, python},
    root,
};

/// Makes a wheel of the small package, after it was changed: Python that has `names` and `write(name, data)`.
const MAKE: &str = r#"
import os, stat, struct, sys, zipfile, zlib
folder, path, change = sys.argv[1:]
files = {}
for where, _, names in os.walk(folder):
    for name in names:
        full = os.path.join(where, name)
        files[os.path.relpath(full, folder).replace(os.sep, "/")] = open(full, "rb").read()
infos = {}
after = lambda data: data
archive = lambda: zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED)
more = []
exec(change)
with archive() as wheel:
    for name, data in [*files.items(), *more]:
        wheel.writestr(infos.get(name, zipfile.ZipInfo(name, (2026, 1, 2, 3, 4, 6))), data, zipfile.ZIP_DEFLATED)
data = open(path, "rb").read()
open(path, "wb").write(after(data))
"#;

fn wheel(folder: &Path, change: &str) -> String {
    let package = Package::new("speakeasy");
    let path = folder.join("small_sdk-1.2.3-py3-none-any.whl");
    let made = Command::new("python3").args(["-c", MAKE, package.path()]).arg(&path).arg(change).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    path.to_str().unwrap().to_owned()
}

fn itself(path: &str) -> (u8, String) {
    let sources = vec![path.to_owned(), path.to_owned()];
    drift(&root(), &Request { sources, ..Request::default() })
}

#[test]
fn a_wheel_that_was_made_to_do_harm_is_refused() {
    if !python() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (code, printed) = itself(&wheel(folder.path(), ""));
    assert!(code == 0 && printed.contains("(small-sdk 1.2.3 of 2026-01-02, by Speakeasy)"), "{printed}");
    let batch = "small_sdk/models/batch.py";
    let cases = [
        // Paths that lead out.
        ("more += [('../evil.py', b'')]".to_owned(), "would lead out of its folder"),
        ("more += [('/etc/evil.py', b'')]".to_owned(), "would lead out of its folder"),
        ("more += [('a/./b.py', b'')]".to_owned(), "would lead out of its folder"),
        ("more += [('c:evil.py', b'')]".to_owned(), "would lead out of its folder"),
        // A link, a name that is there twice, a name that ends early.
        (
            format!(
                "i = zipfile.ZipInfo('{batch}'); i.external_attr = (stat.S_IFLNK | 0o777) << 16; infos[i.filename] = i"
            ),
            "is a symbolic link",
        ),
        (format!("import warnings; warnings.simplefilter('ignore'); more += [('{batch}', b'')]"), "is in it twice"),
        (
            format!("after = lambda d: d.replace(b'{batch}', b'{}')", batch.replace("/batch", "\\0batch")),
            "would lead out of its folder",
        ),
        // Bombs: one file, all files, many files, and one that lies about its size.
        (format!("files['{batch}'] = b'#' * (200 << 20)"), "is larger than 4194304 bytes"),
        ("more += [(f'b{n}.py', b'#' * (60 << 20)) for n in range(5)]".to_owned(), "would unpack to more than"),
        ("more += [(f'b{n}.py', b'') for n in range(20001)]".to_owned(), "holds more than 20000 files"),
        (
            format!(
                "files['{batch}'] = b'#' * (8 << 20); after = lambda d: d.replace(struct.pack('<L', 8 << 20), struct.pack('<L', 99))"
            ),
            "cannot be read: ",
        ),
        // Broken ones.
        ("after = lambda d: b''".to_owned(), "is not a wheel that can be read"),
        ("after = lambda d: d[:len(d) // 2]".to_owned(), "is not a wheel that can be read"),
        ("after = lambda d: d[:400] + b'????????' + d[408:]".to_owned(), "cannot be read"),
        (
            format!("files['{batch}'] = b'class Batch(:'"),
            "small_sdk/models/batch.py is not Python that can be read: SyntaxError",
        ),
        (format!("files['{batch}'] = b'x = ' + b'(' * 100000"), "is not Python that can be read"),
        (format!("files['{batch}'] = b'x = ' + b'-' * 1000000 + b'1'"), "cannot be read"),
        (format!("files['{batch}'] = b'x = ' + b'a.' * 300000 + b'b'"), "cannot be read"),
        (format!("files['{batch}'] = b'x = \\xff'"), "is not UTF-8"),
        (format!("files['{batch}'] = b'x = 1\\0'"), "is not Python that can be read"),
        (format!("del files['{batch}']"), "which is not in the package"),
        (
            "files = {name: data for name, data in files.items() if 'sdkconf' not in name}".to_owned(),
            "no package in it",
        ),
        (
            "files.update({'other' + name[9:]: data for name, data in files.items() if name.startswith('small_sdk/')})"
                .to_owned(),
            "it holds several packages",
        ),
        ("files['small_sdk/sdkconfiguration.py'] = b'SERVERS = open(1)'".to_owned(), "SERVERS is not a list"),
    ];
    for (change, expected) in cases {
        let (code, printed) = itself(&wheel(folder.path(), &change));
        assert_eq!(code, 100, "{change}: {printed}");
        assert!(printed.contains(expected) && printed.contains("\nfix: "), "{change}: {expected}: {printed}");
    }
    // Beside the wheel there is nothing.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// Code that would show itself when it was run.
#[test]
fn nothing_of_a_package_is_run() {
    if !python() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let seen = folder.path().join("seen");
    let run = format!("open({:?}, 'w')", seen.display().to_string());
    let change = format!(
        "code = {run:?}.encode()\n\
         for name in list(files):\n    if name.endswith('.py'): files[name] += b'\\n' + code + b'\\n'\n\
         more += [(name, code) for name in ('ast.py', 'json.py', 'sitecustomize.py', 'small_sdk/setup.py', 'a.pth', '__main__.py')]"
    );
    let (code, printed) = itself(&wheel(folder.path(), &change));
    assert!(code == 0 && !seen.exists(), "{printed}");
}

#[test]
fn words_of_a_package_do_not_reach_a_terminal_raw() {
    if !python() {
        return;
    }
    let (known, other) = (Package::new("stainless"), Package::new("stainless"));
    let other =
        other.with("small/types/batch_list_params.py", "Between 1 and 100.", "Between 1 \\x1b[2J\u{202e} and 200.");
    let sources = vec![known.path().to_owned(), other.path().to_owned()];
    let (code, printed) = drift(&root(), &Request { sources, ..Request::default() });
    assert!(code == 4 && printed.contains("\\u{1b}[2J\\u{202e}"), "{printed}");
    assert!(!printed.contains('\u{1b}') && !printed.contains('\u{202e}'));
}

#[cfg(unix)]
#[test]
fn links_of_a_folder_are_not_followed_and_what_is_no_package_is_refused() {
    use std::os::unix::fs::symlink;
    if !python() {
        return;
    }
    let outside = tempfile::tempdir().unwrap();
    let package = Package::new("speakeasy");
    let batch = Path::new(package.path()).join("small_sdk/models/batch.py");
    fs::rename(&batch, outside.path().join("batch.py")).unwrap();
    symlink(outside.path().join("batch.py"), &batch).unwrap();
    let (code, printed) = itself(package.path());
    assert!(code == 100 && printed.contains("small_sdk/models/batch.py is a symbolic link"), "{printed}");

    let (code, printed) = itself(outside.path().to_str().unwrap());
    assert!(
        code == 100 && printed.contains("no package in it is one that Speakeasy or Stainless generated"),
        "{printed}"
    );
    let (code, printed) = itself("no such.whl");
    assert!(code == 100 && printed.contains("no such.whl cannot be read"), "{printed}");
    // A package without our operations, and one whose reading takes too long.
    let none = Package::new("speakeasy");
    for name in ["batches.py", "files.py"] {
        fs::write(Path::new(none.path()).join("small_sdk").join(name), "").unwrap();
    }
    let (code, printed) = itself(none.path());
    assert!(code == 100 && printed.contains("has none of our 9 operations"), "{printed}");
    let sources = vec![none.path().to_owned(), none.path().to_owned()];
    let limits = Limits { time: std::time::Duration::ZERO, ..Limits::default() };
    let (code, printed) = drift(&root(), &Request { sources, limits, ..Request::default() });
    assert!(code == 100 && printed.contains("did not come to an end within 0 seconds"), "{printed}");
}

/// The folder of the package itself, one above it, and a wheel from the network say the same.
#[test]
fn a_package_is_found_where_it_is() {
    if !python() {
        return;
    }
    for (name, inner) in [("speakeasy", "small_sdk"), ("stainless", "small")] {
        let package = Package::new(name);
        let inside = format!("{}/{inner}", package.path());
        let above = tempfile::tempdir().unwrap();
        fs::create_dir(above.path().join("src")).unwrap();
        fs::rename(Path::new(package.path()).join(inner), above.path().join("src").join(inner)).unwrap();
        let other = Package::new(name);
        for one in [above.path().to_str().unwrap(), &format!("{}/src/{inner}", above.path().display())] {
            let sources = vec![other.path().to_owned(), one.to_owned()];
            let (code, printed) = drift(&root(), &Request { sources, ..Request::default() });
            assert_eq!(code, 0, "{inside}: {printed}");
        }
    }
}
