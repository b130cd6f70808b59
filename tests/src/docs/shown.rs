//! Whether a command printed what a document shows, apart from what differs each time: ages, addresses, hashes, ports.

/// Stands for any words in a line, alone in a line for any lines, and at a word's end for the rest of the word.
const GAP: &str = "…";

/// The alphabet of generated names and hashes: no vowels, nothing that looks like another character.
const GENERATED: &str = "bcdfghjklmnpqrstvwxz2456789";

/// Whether what was seen is what is shown.
pub fn agrees(shown: &[String], seen: &str) -> bool {
    let words = |line: &str| line.split_whitespace().map(normal).collect::<Vec<_>>();
    let shown: Vec<Vec<String>> = shown.iter().map(|line| words(line)).collect();
    let seen: Vec<Vec<String>> = seen.trim_end().lines().map(words).collect();
    let is_gap_line = |line: &Vec<String>| matches!(&line[..], [word] if word == GAP);
    fits(&shown, &seen, &is_gap_line, &|shown, seen| {
        fits(shown, seen, &|word| word == GAP, &|shown, seen| {
            shown == seen || shown.strip_suffix(GAP).is_some_and(|start| seen.starts_with(start))
        })
    })
}

/// Whether a pattern with gaps fits all that was seen.
fn fits<T>(pattern: &[T], seen: &[T], gap: &impl Fn(&T) -> bool, same: &impl Fn(&T, &T) -> bool) -> bool {
    match (pattern, seen) {
        ([], []) => true,
        ([first, rest @ ..], _) if gap(first) => {
            (0..=seen.len()).any(|skipped| fits(rest, &seen[skipped..], gap, same))
        }
        ([first, pattern @ ..], [one, seen @ ..]) => same(first, one) && fits(pattern, seen, gap, same),
        _ => false,
    }
}

/// A word with what differs each time replaced by what it is.
fn normal(word: &str) -> String {
    let bare = word.trim_matches(['(', ')', ',']);
    if is_age(bare) {
        return word.replace(bare, "AGE");
    }
    // Process ids, of which a single digit is none: it counts something.
    if bare.len() > 1 && bare.bytes().all(|byte| byte.is_ascii_digit()) {
        return word.replace(bare, "NUMBER");
    }
    if bare.len() > 10 && bare.as_bytes()[4] == b'-' && bare.as_bytes()[10] == b'T' {
        return "TIME".into();
    }
    let word = &without_ids(word);
    let mut text = String::new();
    let mut rest = word.as_str();
    while let Some(first) = rest.chars().next() {
        let part = |keep: fn(char) -> bool| rest.find(|c| !keep(c)).unwrap_or(rest.len());
        let name = part(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        let number = part(|c| c.is_ascii_digit() || c == '.');
        let length = match (number, name) {
            (0, 0) => first.len_utf8(),
            (number, name) => number.max(name),
        };
        let (piece, after) = rest.split_at(length);
        if number >= name && is_changing_address(piece) {
            text += "ADDRESS";
        } else if text.ends_with(':') && is_changing_port(piece, &text) {
            text += "PORT";
        } else {
            text += &without_hashes(piece);
        }
        rest = after;
    }
    text
}

/// A word without uids and without the ids of containers.
fn without_ids(word: &str) -> String {
    let is_hex = |piece: &str| piece.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_uid = |piece: &str| {
        let parts: Vec<&str> = piece.split('-').collect();
        parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12]) && parts.into_iter().all(is_hex)
    };
    let mut text = String::new();
    let mut rest = word;
    while let Some(first) = rest.chars().next() {
        let begins = |length: usize, is: &dyn Fn(&str) -> bool| rest.get(..length).is_some_and(is);
        let (name, length) = if begins(36, &is_uid) {
            ("UID", 36)
        } else if begins(64, &is_hex) {
            ("ID", 64)
        } else {
            ("", first.len_utf8())
        };
        text += if name.is_empty() { &rest[..length] } else { name };
        rest = &rest[length..];
    }
    text
}

/// `12s`, `5m30s`, `2d4h`.
fn is_age(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit())
        && word.ends_with(['s', 'm', 'h', 'd', 'y'])
        && word.bytes().all(|byte| byte.is_ascii_digit() || b"smhdy".contains(&byte))
}

/// Addresses of pods, and of Services but the two that every lab has.
fn is_changing_address(piece: &str) -> bool {
    let parts: Vec<&str> = piece.split('.').collect();
    match parts[..] {
        ["172", "16", _, _] => true,
        ["10", second, third, fourth] => {
            second.parse().is_ok_and(|second: u8| (96..112).contains(&second))
                && !(second == "96" && third == "0" && ["0", "1", "10"].contains(&fourth))
        }
        _ => false,
    }
}

/// Node ports, and the loopback's way to the API server.
fn is_changing_port(piece: &str, before: &str) -> bool {
    let port: Option<u16> = piece.parse().ok();
    port.is_some_and(|port| (30_000..32_768).contains(&port) || before.ends_with("127.0.0.1:"))
}

/// A name without the parts that were generated: the hash of a template, the end of a pod's name.
fn without_hashes(name: &str) -> String {
    let parts: Vec<&str> = name.split('-').collect();
    let generated = |part: &str| part.chars().all(|c| GENERATED.contains(c));
    let normal = parts.iter().enumerate().map(|(at, part)| {
        let is_hash = matches!(part.len(), 8..=10)
            && generated(part)
            && (at > 0 || part.bytes().any(|byte| byte.is_ascii_digit()));
        let is_end = at > 0 && at + 1 == parts.len() && part.len() == 5 && generated(part);
        if is_hash || is_end { "HASH" } else { part }
    });
    normal.collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(shown: &str, seen: &str, expected: bool) {
        let shown: Vec<String> = shown.lines().map(str::to_owned).collect();
        assert_eq!(agrees(&shown, seen), expected, "{shown:?}\n{seen:?}");
    }

    #[test]
    fn what_differs_each_time_is_no_difference() {
        check("web   1/1  12s", "web 1/1     5m30s\n", true);
        check("web-7c5ddbdf54-2xkzp  Running", "web-8d9f4b6c77-zzzzz Running", true);
        check("pod-template-hash=7c5ddbdf54", "pod-template-hash=68b4cc", false);
        check("pod-template-hash=7c5ddbdf54", "pod-template-hash=65b8f9c4d8", true);
        check("ClusterIP 10.96.12.1 80:30123/TCP", "ClusterIP 10.103.200.7 80:31999/TCP", true);
        check("is running at https://127.0.0.1:6443", "is running at https://127.0.0.1:40123", true);
        check("kubelet 4321 1", "kubelet 99 1", true);
        check("0 (5s ago)", "0 (12s ago)", true);
        check("at 2026-01-01T00:00:00Z", "at 2027-02-03T04:05:06Z", true);
        check(
            "/pods/pod0b6e8763-7dca-48bb-afc1-b3453b402629/0.log",
            "/pods/pod440c20a9-d4c4-4217-bbb4-02b7bec3d58e/0.log",
            true,
        );
        let (one, other) = ("fb18a702".repeat(8), "57118ab1".repeat(8));
        check(&format!("containerd://{one}"), &format!("containerd://{other}"), true);
    }

    #[test]
    fn every_other_difference_is_one() {
        check("web 1/1", "web 0/1", false);
        check("web-0 Running", "web-1 Running", false);
        check("kubernetes 10.96.0.1", "kubernetes 10.96.0.10", false);
        check("m-k8s 192.168.1.10", "m-k8s 192.168.1.101", false);
        check("nginx-nginx", "nginx-bbbbb", false);
        check("0b6e8763-7dca-48bb-afc1-b3453b402629", "0b6e8763-7dca-48bb-afc1", false);
        check("80:80/TCP", "80:8080/TCP", false);
        check("restarts 1", "restarts 2", false);
        check("one", "one\ntwo", false);
        check("one\ntwo", "one", false);
        check("", "something", false);
    }

    #[test]
    fn gaps_stand_for_words_and_lines() {
        check("Name: web\n…\nEvents: <none>", "Name: web\na\nb\nEvents: <none>\n", true);
        check("Name: web\n…", "Name: other", false);
        check("m-k8s Ready … v1.36.0", "m-k8s Ready control-plane 3s v1.36.0", true);
        check("m-k8s Ready … v1.36.0", "m-k8s Ready control-plane 3s v1.35.0", false);
        check("hash sha256:…", "hash sha256:0123abcd", true);
        check("hash sha256:…", "hash sha512:0123abcd", false);
    }
}
