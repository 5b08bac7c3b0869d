//! Names of files: what a peer chose is escaped, and every file lies below the directory of the configuration.

use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use engine_core::RecordingBegun;

use super::date::Date;

/// The names of one recording, below the directory.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Names {
    /// The packets.
    pub(super) pcap: PathBuf,
    /// The sheet while the recording goes on.
    pub(super) unfinished: PathBuf,
    /// The sheet of a recording that is over.
    pub(super) sheet: PathBuf,
}

impl Names {
    /// As the client wants them, else rtpengine's: escaped call-id, `-`, 16 random digits.
    pub(super) fn of(begun: &RecordingBegun, wall_ms: u64, random: u64) -> Self {
        let options = &begun.options;
        let call = escaped(&begun.call_id);
        let stem = format!("{call}-{random:016x}");
        let chosen = options.file.as_ref().or(options.destination.as_ref()).cloned();
        let chosen = chosen
            .or_else(|| options.pattern.as_ref().map(|pattern| expanded(pattern, begun, wall_ms) + ".pcap"));
        let pcap = match (&options.directory, chosen) {
            (Some(directory), chosen) => {
                Path::new(directory).join(chosen.unwrap_or_else(|| format!("{stem}.pcap")))
            }
            (None, Some(chosen)) => PathBuf::from(chosen),
            (None, None) => Path::new(PCAPS).join(format!("{stem}.pcap")),
        };
        Self {
            pcap,
            unfinished: Path::new(UNFINISHED).join(format!("rtpengine-meta-{stem}.tmp")),
            sheet: Path::new(SHEETS).join(format!("rtpengine-meta-{stem}.txt")),
        }
    }
}

/// Makes a new file below `directory`, readable by its owner only. A name that is taken is made another by `random`;
/// returns the name it got.
///
/// # Errors
/// The kernel's; a name that leads elsewhere is refused.
pub(super) fn create(directory: &Path, name: &Path, random: u64) -> io::Result<(File, PathBuf)> {
    if !name.components().all(|part| matches!(part, Component::Normal(_))) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a name that leads out of the directory"));
    }
    let path = directory.join(name);
    if let Some(parent) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    }
    // A new file, so that neither a link nor somebody's file is written through.
    let new = |path: &Path| OpenOptions::new().append(true).create_new(true).mode(0o600).open(path);
    match new(&path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let extension =
                path.extension().map(|text| format!(".{}", text.to_string_lossy())).unwrap_or_default();
            let other = path.with_file_name(format!("{stem}-{random:016x}{extension}"));
            new(&other).map(|file| (file, other))
        }
        result => result.map(|file| (file, path)),
    }
}

/// Makes the directories that every recording needs.
///
/// # Errors
/// The kernel's.
pub(super) fn make_directories(directory: &Path) -> io::Result<()> {
    for part in [PCAPS, UNFINISHED, SHEETS] {
        DirBuilder::new().recursive(true).mode(0o700).create(directory.join(part))?;
    }
    // That a file can be made is known before the first call asks for one.
    let trial = directory.join(UNFINISHED).join(format!("trial-{}", std::process::id()));
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&trial)?;
    fs::remove_file(trial)
}

/// A text of a peer as part of a file name: letters, digits and `-_~.` stay, a dot not at the beginning; the rest is `%XX`,
/// and `_` stands for nothing. Cut to [`ESCAPED_BYTES_MAX`].
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        let plain =
            byte.is_ascii_alphanumeric() || b"-_~".contains(&byte) || (byte == b'.' && !out.is_empty());
        let length = out.len() + if plain { 1 } else { 3 };
        if length > ESCAPED_BYTES_MAX {
            break;
        }
        if plain {
            out.push(char::from(byte));
        } else {
            let _infallible = write!(out, "%{byte:02X}");
        }
    }
    // Nothing at all would leave a name that begins at the root.
    if out.is_empty() { "_".to_owned() } else { out }
}

/// A pattern with its sequences expanded: `%%`, `%c` call-id, `%t` kind of stream (`mix`), `%l` label, `%Y` `%m` `%d` `%H`
/// `%M` `%S` `%u` time (UTC), `%N` the next N bytes of the call-id. Others stay as they are.
fn expanded(pattern: &str, begun: &RecordingBegun, wall_ms: u64) -> String {
    let date = Date::of(wall_ms);
    let mut out = String::new();
    let mut rest = pattern;
    let mut prefix = begun.call_id.as_str();
    while let Some((before, behind)) = rest.split_once('%') {
        out += before;
        let digits = behind.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 {
            let wanted = behind[..digits].parse().unwrap_or(usize::MAX);
            let (part, left) = prefix.split_at(prefix.floor_char_boundary(wanted));
            out += &escaped(part);
            prefix = left;
            rest = &behind[digits..];
            continue;
        }
        let mut chars = behind.chars();
        let sequence = chars.next();
        let _infallible = match sequence {
            Some('%') => write!(out, "%25"),
            Some('c') => write!(out, "{}", escaped(&begun.call_id)),
            Some('t') => write!(out, "mix"),
            Some('l') => write!(out, "{}", escaped(begun.label.as_deref().unwrap_or_default())),
            Some('Y') => write!(out, "{:04}", date.year),
            Some('m') => write!(out, "{:02}", date.month),
            Some('d') => write!(out, "{:02}", date.day),
            Some('H') => write!(out, "{:02}", date.hour),
            Some('M') => write!(out, "{:02}", date.minute),
            Some('S') => write!(out, "{:02}", date.second),
            Some('u') => write!(out, "{:06}", wall_ms % 1000 * 1000),
            Some(other) => write!(out, "%{other}"),
            None => write!(out, "%"),
        };
        rest = chars.as_str();
    }
    out + rest
}

/// Of one text in a name, so that with what surrounds it a file name of 255 bytes has room.
const ESCAPED_BYTES_MAX: usize = 160;

const PCAPS: &str = "pcaps";
const UNFINISHED: &str = "tmp";
const SHEETS: &str = "metadata";

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use ng::RecordingOptions;

    use super::*;

    const AT: u64 = 1_795_811_346_123;

    fn begun(call_id: &str, edit: impl FnOnce(&mut RecordingOptions)) -> RecordingBegun {
        let mut options = RecordingOptions::default();
        edit(&mut options);
        RecordingBegun { call_id: call_id.to_owned(), call_created_ms: AT, label: None, options }
    }

    fn pcap(begun: &RecordingBegun) -> String {
        Names::of(begun, AT, 0xabc).pcap.to_string_lossy().into_owned()
    }

    #[test]
    fn names_are_rtpengines() {
        // As measured on rtpengine 10.5.3.5 with this call-id.
        let names = Names::of(&begun("call/../x y%1", |_| {}), AT, 0x23e8_6b80_9413_0a4b);
        let stem = "call%2F..%2Fx%20y%251-23e86b8094130a4b";
        assert_eq!(names.pcap, Path::new(&format!("pcaps/{stem}.pcap")));
        assert_eq!(names.unfinished, Path::new(&format!("tmp/rtpengine-meta-{stem}.tmp")));
        assert_eq!(names.sheet, Path::new(&format!("metadata/rtpengine-meta-{stem}.txt")));
    }

    #[test]
    fn no_call_id_leads_elsewhere_or_is_too_long() {
        for call_id in
            ["..", "../../etc/passwd", "/etc/passwd", "a\0b", "\n", ".hidden", "", &"ü/".repeat(512)]
        {
            for pattern in [None, Some("%2/%3/%c"), Some("%1/%c")] {
                let begun = begun(call_id, |options| options.pattern = pattern.map(str::to_owned));
                let name = pcap(&begun);
                for part in Path::new(&name).components() {
                    let Component::Normal(part) = part else { panic!("{name}") };
                    assert!(part.len() < 256 && !part.to_string_lossy().contains(char::is_control), "{name}");
                }
            }
        }
        assert_eq!(escaped(".."), "%2E.");
    }

    #[test]
    fn a_client_chooses_names_below_the_directory() {
        let name = |edit: fn(&mut RecordingOptions)| pcap(&begun("abcdefgh", edit));
        assert_eq!(name(|o| o.file = Some("day/one".into())), "day/one");
        assert_eq!(name(|o| o.destination = Some("two".into())), "two");
        assert_eq!(name(|o| o.directory = Some("d".into())), "d/abcdefgh-0000000000000abc.pcap");
        assert_eq!(name(|o| o.pattern = Some("%2/%3/%c-%t".into())), "ab/cde/abcdefgh-mix.pcap");
        assert_eq!(
            name(|o| o.pattern = Some("%Y%m%d/%H%M%S.%u_%c%l%x%".into())),
            "20261127/202906.123000_abcdefgh_%x%.pcap"
        );
        assert_eq!(
            name(|o| (o.directory, o.pattern) = (Some("d".into()), Some("%c".into()))),
            "d/abcdefgh.pcap"
        );
    }

    #[test]
    fn a_file_is_new_private_and_below() {
        let directory = tempfile::tempdir().expect("a directory");
        let (_file, path) = create(directory.path(), Path::new("a/b.pcap"), 1).expect("a file");
        assert_eq!(path, directory.path().join("a/b.pcap"));
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        let (_file, other) = create(directory.path(), Path::new("a/b.pcap"), 1).expect("another");
        assert_eq!(other, directory.path().join("a/b-0000000000000001.pcap"));
        std::os::unix::fs::symlink("/dev/null", directory.path().join("link")).expect("a link");
        let (_file, beside) = create(directory.path(), Path::new("link"), 2).expect("beside the link");
        assert_eq!(beside, directory.path().join("link-0000000000000002"));
        for bad in ["../out", "/tmp/out"] {
            create(directory.path(), Path::new(bad), 1).expect_err(bad);
        }
    }
}
