//! Running the program, and the package that it runs on.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub struct Output {
    pub status: i32,
    pub text: String,
    pub error: String,
}

impl Output {
    #[track_caller]
    pub fn succeeds(self) -> String {
        assert_eq!(self.status, 0, "{}", self.error);
        self.text
    }

    #[track_caller]
    pub fn fails_with(self, part: &str) {
        assert_eq!(self.status, 1, "{}", self.error);
        assert!(self.error.contains(part), "{part:?} in {:?}", self.error);
        assert!(!self.error.contains("panicked"), "{}", self.error);
    }

    #[track_caller]
    pub fn fails_as_usage(self, part: &str) {
        assert_eq!(self.status, 2, "{}", self.error);
        assert!(self.error.contains(part), "{part:?} in {:?}", self.error);
    }
}

pub fn vmad(arguments: &[&str]) -> Output {
    vmad_reading(arguments, "")
}

/// The program with something on its standard input.
pub fn vmad_reading(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_vmad"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that reads nothing may have ended before this.
    child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
    let output = child.wait_with_output().unwrap();
    Output {
        status: output.status.code().unwrap(),
        text: String::from_utf8(output.stdout).unwrap(),
        error: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The folder of the workspace.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The nano package of the repository. Tests that change a package copy it first.
pub fn nano() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/nano")
}

/// A real photograph of the repository.
pub fn photo(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/photos");
    path.join(name).to_str().unwrap().to_owned()
}

/// Content of every file below a folder, by its path in the folder.
pub fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(
                contents(&path).into_iter().map(|(inner, bytes)| {
                    (Path::new(path.file_name().unwrap()).join(inner), bytes)
                }),
            );
        } else {
            let name = path.file_name().unwrap();
            files.insert(name.into(), std::fs::read(&path).unwrap());
        }
    }
    files
}

pub fn copy_folder(from: &Path, to: &Path) {
    for (name, bytes) in contents(from) {
        let path = to.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

/// File names of a package's shards.
pub fn shards(package: &Path) -> Vec<String> {
    contents(package)
        .into_keys()
        .filter_map(|name| name.to_str().map(str::to_owned))
        .filter(|name| name.ends_with(".safetensors"))
        .collect()
}
