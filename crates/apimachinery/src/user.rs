//! The part of a user that decisions read.

/// Who asks.
#[derive(Debug, Clone, Copy, Default)]
pub struct User<'a> {
    /// User name, such as `system:node:w1-k8s`.
    pub name: &'a str,
    /// Groups, such as `system:nodes`.
    pub groups: &'a [String],
}

impl User<'_> {
    /// Whether the user is in a group.
    pub fn in_group(&self, group: &str) -> bool {
        self.groups.iter().any(|member| member == group)
    }
}
