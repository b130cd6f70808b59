//! The files of a volume made from an object: which, under which path, with which mode.

use std::collections::BTreeMap;

use crate::Error;

/// The files of a volume by their path in it.
pub type Payload = BTreeMap<String, File>;

/// One file of a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// What it holds.
    pub data: Vec<u8>,
    /// Its permission bits.
    pub mode: u32,
    /// The user it belongs to, where it is not root's.
    pub owner: Option<u32>,
}

/// One key of an object put under a path (`items` of a volume source).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The key in the object.
    pub key: String,
    /// The path in the volume.
    pub path: String,
    /// The file's mode, where it is not the volume's default.
    pub mode: Option<i32>,
}

/// Makes the files of a ConfigMap: all its keys, or the listed ones. A listed key that is missing is an error unless
/// the volume is optional.
pub fn config_map(
    data: Option<&BTreeMap<String, String>>,
    binary_data: impl IntoIterator<Item = (String, Vec<u8>)>,
    items: &[Item],
    default_mode: i32,
    optional: bool,
) -> Result<Payload, Error> {
    let text = data.into_iter().flatten().map(|(key, value)| (key.clone(), value.clone().into_bytes()));
    let all = text.chain(binary_data).collect();
    select("config", all, items, default_mode, optional)
}

/// Makes the files of a Secret; as [`config_map`].
pub fn secret(
    data: impl IntoIterator<Item = (String, Vec<u8>)>,
    items: &[Item],
    default_mode: i32,
    optional: bool,
) -> Result<Payload, Error> {
    select("secret", data.into_iter().collect(), items, default_mode, optional)
}

/// Puts one file at a path that must stay inside the volume.
pub fn place(
    payload: &mut Payload,
    path: &str,
    data: Vec<u8>,
    mode: i32,
    owner: Option<u32>,
) -> Result<(), Error> {
    check(path)?;
    payload.insert(path.to_owned(), File { data, mode: bits(mode), owner });
    Ok(())
}

fn select(
    kind: &'static str,
    mut all: BTreeMap<String, Vec<u8>>,
    items: &[Item],
    default_mode: i32,
    optional: bool,
) -> Result<Payload, Error> {
    let mut payload = Payload::new();
    if items.is_empty() {
        for (key, data) in all {
            place(&mut payload, &key, data, default_mode, None)?;
        }
        return Ok(payload);
    }
    for (index, item) in items.iter().enumerate() {
        // The last item to name a key takes its data; earlier ones copy it.
        let used_again = items[index + 1..].iter().any(|later| later.key == item.key);
        let data = if used_again { all.get(&item.key).cloned() } else { all.remove(&item.key) };
        match data {
            Some(data) => place(&mut payload, &item.path, data, item.mode.unwrap_or(default_mode), None)?,
            None if optional => {}
            None => return Err(Error::MissingKey { kind, key: item.key.clone() }),
        }
    }
    Ok(payload)
}

fn bits(mode: i32) -> u32 {
    u32::try_from(mode).unwrap_or(0o644) & 0o7777
}

/// The longest path and the longest name Linux takes.
const MAX_PATH: usize = 4096;
const MAX_NAME: usize = 255;

fn check(path: &str) -> Result<(), Error> {
    let invalid = path.is_empty()
        || path.len() > MAX_PATH
        || path.starts_with('/')
        || path.contains('\0')
        // Names that begin with two dots belong to the writer.
        || path.starts_with("..")
        || path.split('/').any(|part| part == ".." || part.len() > MAX_NAME);
    if invalid { Err(Error::InvalidPath(path.to_owned())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(key: &str, path: &str, mode: Option<i32>) -> Item {
        Item { key: key.into(), path: path.into(), mode }
    }

    fn data() -> BTreeMap<String, String> {
        BTreeMap::from([("a".into(), "1".into()), ("b".into(), "2".into())])
    }

    #[test]
    fn without_items_every_key_is_a_file() {
        let binary = [("c".to_owned(), vec![0, 1])];
        let payload = config_map(Some(&data()), binary, &[], 0o644, false).unwrap();
        assert_eq!(payload.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(payload["a"], File { data: b"1".to_vec(), mode: 0o644, owner: None });
    }

    #[test]
    fn items_choose_path_and_mode() {
        let items = [item("a", "x/y", Some(0o400)), item("a", "z", None)];
        let payload = config_map(Some(&data()), [], &items, 0o644, false).unwrap();
        assert_eq!((payload["x/y"].mode, payload["z"].mode), (0o400, 0o644));
        assert_eq!(payload["z"].data, b"1");
    }

    #[test]
    fn a_missing_key_fails_unless_optional() {
        let items = [item("nope", "n", None)];
        let error = config_map(Some(&data()), [], &items, 0o644, false).unwrap_err();
        assert_eq!(error.to_string(), "references non-existent config key: nope");
        assert!(config_map(Some(&data()), [], &items, 0o644, true).unwrap().is_empty());
        let error = secret([], &items, 0o644, false).unwrap_err();
        assert_eq!(error.to_string(), "references non-existent secret key: nope");
    }

    #[test]
    fn paths_stay_inside() {
        for path in ["", "/etc/passwd", "../x", "a/../../b", "..data", "a\0b"] {
            assert!(
                config_map(Some(&data()), [], &[item("a", path, None)], 0o644, false).is_err(),
                "{path:?}"
            );
        }
        assert!(config_map(Some(&data()), [], &[item("a", "a..b/c", None)], 0o644, false).is_ok());
    }
}
