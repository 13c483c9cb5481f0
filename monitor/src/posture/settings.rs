//! What a program was told, setting by setting, with where each is from.

use std::io;
use std::path::{Path, PathBuf};

use crate::event::{Evidence, Origin, PostureResult};
use crate::node::Root;
use crate::running::document::{Document, SIZE_MAX};
use crate::running::found::shown;
use crate::running::process::Process;

/// Where a program's files are.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    /// As it sees them.
    Process(&'a Process),
    /// It does not run; those of the node.
    Node(&'a Root),
}

impl Place<'_> {
    pub(super) fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match self {
            Self::Process(process) => process.read(path),
            Self::Node(root) => root.read_linked(path, SIZE_MAX),
        }
    }

    pub(super) fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        match self {
            Self::Process(process) => process.try_list(path),
            Self::Node(root) => {
                let mut names = root.list(path, crate::running::process::NAMES_MAX)?;
                names.sort();
                Ok(names.into_iter().map(|name| path.join(name)).collect())
            }
        }
    }

    /// A path as the program means it.
    pub(super) fn whole(&self, path: &str) -> PathBuf {
        match self {
            Self::Process(process) => process.whole(path),
            Self::Node(_) => Path::new("/").join(path),
        }
    }

    /// The path on the node, if it has it.
    pub(super) fn on_node(&self, path: &Path) -> Option<PathBuf> {
        match self {
            Self::Process(process) => process.on_node(path),
            Self::Node(_) => Some(path.to_owned()),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub value: String,
    pub origin: Origin,
    /// In which it stands.
    pub file: Option<PathBuf>,
    /// As it is called there.
    pub key: String,
}

impl Setting {
    pub(super) fn usual(key: &str, value: &str) -> Self {
        Self { value: value.to_owned(), origin: Origin::Default, file: None, key: key.to_owned() }
    }

    pub(super) fn flag(name: &str, value: &str) -> Self {
        Self { value: value.to_owned(), origin: Origin::Flag, file: None, key: format!("--{name}") }
    }
}

/// The settings of one program, those that count more after those that count less.
pub(super) struct Settings<'a> {
    /// Which program, as `kubelet[812]`.
    pub name: String,
    pub place: Place<'a>,
    list: Vec<(&'static str, Setting)>,
    /// What could not be read, in sentences: it may go over all but flags and environment.
    pub unreadable: Vec<String>,
    /// Why flags may go over what is known.
    pub unsure: Option<String>,
}

impl<'a> Settings<'a> {
    pub(super) fn new(name: String, place: Place<'a>) -> Self {
        Self { name, place, list: Vec::new(), unreadable: Vec::new(), unsure: None }
    }

    /// Puts a setting over those before.
    pub(super) fn set(&mut self, key: &'static str, setting: Setting) {
        self.list.push((key, setting));
    }

    /// A document of a file. What is not there, or is too much, is said.
    pub(super) fn read(
        &mut self,
        file: &Path,
        parse: fn(&[u8]) -> Result<Document, String>,
    ) -> Option<Document> {
        let read = self.place.read(file).map_err(|error| error.to_string()).and_then(|bytes| parse(&bytes));
        match read {
            Ok(document) if document.is_full() => {
                self.unreadable.push(format!("{} has more in it than is read", shown(file)));
                Some(document)
            }
            Ok(document) => Some(document),
            Err(why) => {
                self.unreadable.push(format!("{} is not read: {why}", shown(file)));
                None
            }
        }
    }

    /// The one in force, `None` if it is not set. An error says why it is not known.
    pub(super) fn get(&self, key: &str) -> Result<Option<&Setting>, String> {
        let last = self.list.iter().rev().find(|(known, _)| *known == key).map(|(_, setting)| setting);
        let is_over_files = |setting: &&Setting| matches!(setting.origin, Origin::Flag | Origin::Environment);
        match (last.filter(is_over_files), self.unreadable.first()) {
            (Some(setting), _) => Ok(Some(setting)),
            (None, Some(why)) => Err(why.clone()),
            (None, None) => Ok(last),
        }
    }

    /// The same, if it is something.
    pub(super) fn text(&self, key: &str) -> Result<Option<&Setting>, String> {
        self.get(key).map(|setting| setting.filter(|setting| !setting.value.is_empty()))
    }

    /// What a setting rests on; one that nobody made is nothing by default.
    pub(super) fn evidence(&self, key: &str, setting: Option<&Setting>) -> Evidence {
        let unset = Setting { value: String::new(), ..Setting::usual(key, "") };
        let Setting { value, origin, file, key } = setting.unwrap_or(&unset);
        let value = (!value.is_empty()).then(|| value.clone());
        let evidence = Evidence {
            // The check says.
            result: PostureResult::Pass,
            origin: *origin,
            process: Some(self.name.clone()),
            file: None,
            file_b64: None,
            key: key.clone(),
            value,
        };
        match file {
            Some(file) => evidence.at(file.as_os_str().as_encoded_bytes()),
            None => evidence,
        }
    }
}

/// As YAML 1.1 and the flags of Go have it.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "y" | "1" | "t" => Some(true),
        "false" | "no" | "off" | "n" | "0" | "f" => Some(false),
        _ => None,
    }
}
