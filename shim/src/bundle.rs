// SPDX-License-Identifier: Apache-2.0
//! The bundle's `config.json`: read as bytes, patched as a JSON tree in one place, replaced in one step.

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{self, Path, PathBuf},
};

use nix::unistd::{Gid, Uid, fchown};
use serde_json::{Map, Value};
use tempfile::NamedTempFile;

use crate::{args::Invocation, exposure};

/// Names the mode that a pod asks for.
const MODE_ANNOTATION: &str = "lanner.dev/mode";

/// Annotations with which crun keeps a container's calls from the listener of its profile, and what they make it do. They
/// count whatever their value is: what crun makes of a value depends on its version and on how it was built.
const EVADING_ANNOTATIONS: [(&str, &str); 4] = [
    ("run.oci.seccomp_bpf_data", "load a filter of its own in place of the profile"),
    ("run.oci.seccomp.plugins", "give the listener to plug-ins"),
    ("run.oci.handler", "run the container without executing a program"),
    ("module.wasm.image/variant", "run the container without executing a program"),
];

/// A bundle whose `config.json` was read.
#[derive(Debug)]
pub(crate) struct Bundle {
    /// The bundle's folder, absolute.
    pub(crate) folder: PathBuf,
    /// The file as it was.
    pub(crate) original: Vec<u8>,
    file: PathBuf,
    spec: Value,
}

/// Why a bundle cannot be read or patched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BundleError {
    #[error("cannot tell the working directory")]
    WorkingDirectory(#[source] io::Error),
    #[error("cannot read `{}`", file.display())]
    Read { file: PathBuf, source: io::Error },
    #[error("cannot parse `{}`", file.display())]
    Parse { file: PathBuf, source: serde_json::Error },
    #[error("`{member}` of `{}` is not an object", file.display())]
    NotAnObject { file: PathBuf, member: &'static str },
    #[error("`{member}` in `{}` is spelt in another way than the runtimes' specification has it", file.display())]
    Misspelt { file: PathBuf, member: String },
    #[error("cannot replace `{}`", file.display())]
    Write { file: PathBuf, source: io::Error },
}

impl Bundle {
    /// Reads the bundle that a command starts; `None` where it has no configuration, which the low-level runtime
    /// reports best.
    pub(crate) fn open(invocation: &Invocation) -> Result<Option<Self>, BundleError> {
        let named = invocation.bundle.as_deref().map_or_else(|| Path::new("."), Path::new);
        let folder = path::absolute(named).map_err(BundleError::WorkingDirectory)?;
        let file = match &invocation.config {
            // crun looks for this name in the bundle (`main` of its `src/run.c`), for others where it was started.
            Some(file) if file == "config.json" => folder.join(file),
            Some(file) => path::absolute(file).map_err(BundleError::WorkingDirectory)?,
            None => folder.join("config.json"),
        };
        let original = match fs::read(&file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(BundleError::Read { file, source }),
        };
        let spec =
            serde_json::from_slice(&original).map_err(|source| BundleError::Parse { file: file.clone(), source })?;
        Ok(Some(Self { folder, original, file, spec }))
    }

    /// The mode annotation as it is written, whatever its type.
    pub(crate) fn mode_annotation(&self) -> Option<&Value> {
        self.spec.get("annotations")?.get(MODE_ANNOTATION)
    }

    /// The first annotation that keeps the container's calls from the listener under crun, and what it makes crun do.
    pub(crate) fn evading_annotation(&self) -> Option<(&'static str, &'static str)> {
        let annotations = self.spec.get("annotations")?;
        EVADING_ANNOTATIONS.into_iter().find(|(name, _)| annotations.get(name).is_some())
    }

    /// Whether the container could write to control groups.
    pub(crate) fn is_exposed(&self) -> bool {
        exposure::is_exposed(&self.spec, &self.folder)
    }

    /// Refuses members that runc would take for the profile, or for where it lies, and we would leave as they are.
    pub(crate) fn check_spelling(&self) -> Result<(), BundleError> {
        let parts = [(Some(&self.spec), &["linux", "annotations"][..]), (self.spec.get("linux"), &["seccomp"])];
        for (part, known) in parts {
            if let Some(member) = part.and_then(Value::as_object).and_then(|part| policy::misspelt(part, known)) {
                return Err(BundleError::Misspelt { file: self.file.clone(), member: member.to_owned() });
            }
        }
        Ok(())
    }

    /// The container's own seccomp profile.
    pub(crate) fn seccomp(&self) -> Option<&Value> {
        self.spec.get("linux")?.get("seccomp")
    }

    /// Replaces the profile; owner and mode of the file stay.
    pub(crate) fn write_seccomp(&mut self, profile: Value) -> Result<(), BundleError> {
        let not_an_object = |member| BundleError::NotAnObject { file: self.file.clone(), member };
        let spec = self.spec.as_object_mut().ok_or_else(|| not_an_object("the document"))?;
        let linux = spec.entry("linux").or_insert_with(|| Value::Object(Map::new()));
        let linux = linux.as_object_mut().ok_or_else(|| not_an_object("linux"))?;
        linux.insert("seccomp".to_owned(), profile);
        let text = serde_json::to_vec(&self.spec).map_err(io::Error::from);
        self.replace(text)
    }

    /// Puts the file back as it was.
    pub(crate) fn restore(&self) -> Result<(), BundleError> {
        self.replace(Ok(self.original.clone()))
    }

    fn replace(&self, text: io::Result<Vec<u8>>) -> Result<(), BundleError> {
        let replaced = text.and_then(|text| self.try_replace(&text));
        replaced.map_err(|source| BundleError::Write { file: self.file.clone(), source })
    }

    fn try_replace(&self, text: &[u8]) -> io::Result<()> {
        // A link is followed once and for all: the file it names is replaced, not the link.
        let target =
            fs::read_link(&self.file).map_or_else(|_| self.file.clone(), |link| self.file.with_file_name(link));
        let folder = target.parent().unwrap_or(&self.folder);
        let old = fs::metadata(&target)?;
        let mut file = NamedTempFile::new_in(folder)?;
        file.write_all(text)?;
        fchown(&file, Some(Uid::from_raw(old.uid())), Some(Gid::from_raw(old.gid())))?;
        file.as_file().set_permissions(fs::Permissions::from_mode(old.mode() & 0o7777))?;
        file.persist(&target)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use serde_json::json;

    use super::*;

    fn invocation(arguments: &[&OsString]) -> Invocation {
        Invocation::parse(arguments.iter().map(|argument| (*argument).clone()).collect())
    }

    fn open(folder: &Path) -> Result<Option<Bundle>, BundleError> {
        Bundle::open(&invocation(&[&"create".into(), &"-b".into(), &folder.into(), &"c1".into()]))
    }

    #[test]
    fn everything_but_the_profile_survives_as_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.json");
        let text = r#"{"z":18446744073709551616,"a":1.50,"é\u0000":[],"linux":{"x":1e+400,"seccomp":{}},"hooks":{}}"#;
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let mut bundle = open(folder.path()).unwrap().unwrap();
        bundle.write_seccomp(json!({"defaultAction": "SCMP_ACT_ALLOW"})).unwrap();
        let expected = text.replace("\"seccomp\":{}", r#""seccomp":{"defaultAction":"SCMP_ACT_ALLOW"}"#);
        assert_eq!(fs::read_to_string(&file).unwrap(), expected);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(bundle.original, text.as_bytes());
        bundle.restore().unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_bundle_without_a_configuration_is_left_to_the_runtime() {
        let folder = tempfile::tempdir().unwrap();
        assert!(open(folder.path()).unwrap().is_none());
        fs::write(folder.path().join("config.json"), "{").unwrap();
        assert!(matches!(open(folder.path()), Err(BundleError::Parse { .. })));
    }

    #[test]
    fn the_other_file_of_crun_is_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("other.json");
        fs::write(&file, r#"{"annotations":{"lanner.dev/mode":"enforce"}}"#).unwrap();
        let arguments = [&"run".into(), &"-f".into(), &file.into(), &"c1".into()];
        let bundle = Bundle::open(&invocation(&arguments)).unwrap().unwrap();
        assert_eq!(bundle.mode_annotation(), Some(&json!("enforce")));
        assert_eq!(bundle.seccomp(), None);
    }
}
