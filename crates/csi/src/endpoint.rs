//! Where a socket is, as flags and plugins write it.

use std::path::PathBuf;

/// Reads `unix:///path`, `unix:/path` or a bare path.
pub fn socket_path(address: &str) -> PathBuf {
    let path = address.strip_prefix("unix:").unwrap_or(address);
    // Two slashes are the empty authority of a URL.
    PathBuf::from(path.strip_prefix("//").unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_has_three_spellings() {
        for address in ["unix:///csi/csi.sock", "unix:/csi/csi.sock", "/csi/csi.sock"] {
            assert_eq!(socket_path(address), PathBuf::from("/csi/csi.sock"));
        }
    }
}
