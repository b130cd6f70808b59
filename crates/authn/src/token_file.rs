//! `--token-auth-file`: tokens that stand in a file, with the user of each.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use peers::user::UserInfo;
use ring::digest;

/// The tokens of a file. Only their digests are held.
#[derive(Default)]
pub struct TokenFile {
    users: HashMap<Digest, Arc<UserInfo>>,
}

type Digest = [u8; digest::SHA256_OUTPUT_LEN];

impl fmt::Debug for TokenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenFile of {} tokens", self.users.len())
    }
}

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenFileError {
    /// A line has too few fields.
    #[error("line {line} must have at least 3 columns (token, user name, user uid), found {found}")]
    TooFew {
        /// Which line, from 1.
        line: usize,
        /// How many fields it has.
        found: usize,
    },
    /// A quoted field does not end, or something follows its end.
    #[error("line {0}: extraneous or missing \" in quoted-field")]
    Quotes(usize),
}

fn digest_of(token: &str) -> Digest {
    let mut key = Digest::default();
    key.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
    key
}

impl TokenFile {
    /// Reads lines of `token,user,uid,"group1,group2"`. A line without a token is passed over, and of a token that
    /// stands twice the last line counts.
    pub fn read(text: &str) -> Result<Self, TokenFileError> {
        let mut users = HashMap::new();
        for (index, line) in text.lines().enumerate() {
            if line.is_empty() {
                continue;
            }
            let fields = fields(line).ok_or(TokenFileError::Quotes(index + 1))?;
            let [token, name, uid, rest @ ..] = fields.as_slice() else {
                return Err(TokenFileError::TooFew { line: index + 1, found: fields.len() });
            };
            if token.is_empty() {
                continue;
            }
            let groups = rest.first().into_iter().flat_map(|groups| groups.split(','));
            let groups = groups.filter(|group| !group.is_empty()).map(str::to_owned).collect();
            let user = UserInfo { name: name.clone(), uid: uid.clone(), groups, ..UserInfo::default() };
            users.insert(digest_of(token), Arc::new(user.authenticated()));
        }
        Ok(Self { users })
    }

    /// The user of a token. It is found by its digest, whose comparison tells nothing of the token.
    pub fn user(&self, token: &str) -> Option<Arc<UserInfo>> {
        self.users.get(&digest_of(token)).cloned()
    }
}

/// The fields of a line of comma-separated values (RFC 4180); leading blanks are not part of them.
fn fields(line: &str) -> Option<Vec<String>> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_start();
        let field = match rest.strip_prefix('"') {
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let (field, tail) = rest.split_at(end);
                rest = tail;
                field.to_owned()
            }
            Some(quoted) => {
                let mut field = String::new();
                let mut tail = quoted;
                loop {
                    let end = tail.find('"')?;
                    field.push_str(&tail[..end]);
                    tail = &tail[end + 1..];
                    match tail.strip_prefix('"') {
                        Some(after) => {
                            field.push('"');
                            tail = after;
                        }
                        None => break,
                    }
                }
                rest = tail;
                field
            }
        };
        fields.push(field);
        match rest.strip_prefix(',') {
            Some(tail) => rest = tail,
            None if rest.is_empty() => return Some(fields),
            None => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_gives_a_token_its_user() {
        let file = TokenFile::read(
            "t1,jane,1\nt2, bob ,2,\"dev,ops\"\n\n,nobody,3\nt1,jane2,4,one\n\"q\"\"t\",q,5\n",
        )
        .unwrap();
        let show = |token: &str| {
            file.user(token).map(|user| format!("{} {} {}", user.name, user.uid, user.groups.join(" ")))
        };
        assert_eq!(show("t1").as_deref(), Some("jane2 4 one system:authenticated"));
        assert_eq!(show("t2").as_deref(), Some("bob  2 dev ops system:authenticated"));
        assert_eq!(show("q\"t").as_deref(), Some("q 5 system:authenticated"));
        assert_eq!(show(""), None);
        assert!(!format!("{file:?}").contains("t1"));
    }

    #[test]
    fn a_wrong_line_is_named() {
        for (text, expected) in [
            ("t,u", "line 1 must have at least 3 columns (token, user name, user uid), found 2"),
            ("t,u,1\nt,\"u,2", "line 2: extraneous or missing \" in quoted-field"),
            ("\"t\"x,u,2", "line 1: extraneous or missing \" in quoted-field"),
        ] {
            assert_eq!(TokenFile::read(text).unwrap_err().to_string(), expected);
        }
    }
}
