//! From a user to what authorisation asks about.

use authn::UserInfo;
use authz::User;

/// The part of a user that authorisation reads.
pub fn user(user: &UserInfo) -> User<'_> {
    User { name: &user.name, groups: &user.groups }
}
