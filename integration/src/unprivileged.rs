// SPDX-License-Identifier: Apache-2.0
//! A user who is not root and has ids of his own to give away, as rootless engines need them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

const NAME: &str = "lanner-user";
/// Nobody's on an ordinary system.
const ID: u32 = 60_989;

/// The user's world, with him in it.
#[derive(Debug)]
pub(crate) struct Unprivileged {
    /// Becomes the user in a mount namespace of his own.
    script: PathBuf,
}

impl Unprivileged {
    /// Makes the world in `folder`, which becomes his with everything that is in `his`.
    #[track_caller]
    pub(crate) fn new(folder: &Path, his: &[&Path]) -> Self {
        let (etc, home, script) = (folder.join("etc"), folder.join("home"), folder.join("become"));
        fs::create_dir_all(&home).expect("cannot make a home");
        succeed(Command::new("cp").arg("--archive").arg("/etc").arg(&etc));
        for (file, line) in [
            ("passwd", format!("{NAME}:x:{ID}:{ID}::{}:/bin/sh", home.display())),
            ("group", format!("{NAME}:x:{ID}:")),
            ("subuid", format!("{NAME}:200000:65536")),
            ("subgid", format!("{NAME}:200000:65536")),
        ] {
            let known = fs::read_to_string(etc.join(file)).unwrap_or_default();
            fs::write(etc.join(file), format!("{known}{line}\n")).expect("cannot write the user's accounts");
        }
        // crun knows no cgroup v2 beside the first version.
        let text = format!(
            "mount --make-rprivate /\numount /sys/fs/cgroup/unified 2>/dev/null\nmount --bind '{}' /etc || exit\n\
             exec setpriv --reuid {ID} --regid {ID} --clear-groups \\\n    \
             env -i HOME='{home}' XDG_RUNTIME_DIR='{home}' TMPDIR='{home}' PATH=/usr/sbin:/usr/bin:/sbin:/bin \"$@\"\n",
            etc.display(),
            home = home.display(),
        );
        fs::write(&script, text).expect("cannot write a script");
        succeed(Command::new("chown").args(["--recursive", &format!("{ID}:{ID}")]).arg(folder).args(his));
        Self { script }
    }

    /// A command of his.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh"]).arg(&self.script).arg(program);
        command
    }
}

#[track_caller]
fn succeed(command: &mut Command) {
    let status = command.status();
    assert!(status.as_ref().is_ok_and(ExitStatus::success), "{command:?}: {status:?}");
}
