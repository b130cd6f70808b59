//! Which of the names that a definition wants it gets: the first to be accepted keeps a name.

use std::collections::BTreeSet;

use crate::definition::DefinitionNames;

/// The names that other definitions of the group have.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    resources: BTreeSet<String>,
    kinds: BTreeSet<String>,
}

impl Taken {
    /// Adds what another definition has (`status.acceptedNames`).
    pub fn add(&mut self, names: &DefinitionNames) {
        let resources = [&names.plural, &names.singular].into_iter().chain(&names.short_names);
        self.resources.extend(resources.filter(|name| !name.is_empty()).cloned());
        let kinds = [&names.kind, &names.list_kind].into_iter();
        self.kinds.extend(kinds.filter(|name| !name.is_empty()).cloned());
    }
}

/// What a definition is called from now on, and why not as it wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The names.
    pub names: DefinitionNames,
    /// Reason and message of a conflict.
    pub conflict: Option<(&'static str, String)>,
}

/// Decides about the names of a definition that has had `accepted` so far.
pub fn accept(wanted: &DefinitionNames, accepted: &DefinitionNames, taken: &Taken) -> Accepted {
    let mut names = accepted.clone();
    let mut conflict = None;
    let mut refuse = |reason: &'static str, name: &str| {
        conflict = Some((reason, format!("{name:?} is already in use")));
    };
    for (field, own, wanted, all, reason) in [
        (&mut names.plural, &accepted.plural, &wanted.plural, &taken.resources, "PluralConflict"),
        (&mut names.singular, &accepted.singular, &wanted.singular, &taken.resources, "SingularConflict"),
        (&mut names.kind, &accepted.kind, &wanted.kind, &taken.kinds, "KindConflict"),
        (&mut names.list_kind, &accepted.list_kind, &wanted.list_kind, &taken.kinds, "ListKindConflict"),
    ] {
        if own == wanted || !all.contains(wanted) {
            field.clone_from(wanted);
        } else {
            refuse(reason, wanted);
        }
    }
    let new = |name: &&String| !accepted.short_names.contains(*name) && taken.resources.contains(*name);
    match wanted.short_names.iter().find(new) {
        Some(name) => refuse("ShortNamesConflict", name),
        None => names.short_names.clone_from(&wanted.short_names),
    }
    // Categories are shared.
    names.categories.clone_from(&wanted.categories);
    Accepted { names, conflict }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(plural: &str, kind: &str, short: &[&str]) -> DefinitionNames {
        DefinitionNames {
            plural: plural.into(),
            singular: kind.to_lowercase(),
            kind: kind.into(),
            list_kind: format!("{kind}List"),
            short_names: short.iter().map(|name| (*name).to_owned()).collect(),
            categories: vec!["all".into()],
        }
    }

    #[test]
    fn the_first_keeps_a_name() {
        let nothing = DefinitionNames::default();
        let mut taken = Taken::default();
        taken.add(&names("wands", "Wand", &["w"]));
        let free = accept(&names("rods", "Rod", &["r"]), &nothing, &taken);
        assert_eq!(free, Accepted { names: names("rods", "Rod", &["r"]), conflict: None });
        let short = accept(&names("whips", "Whip", &["w"]), &nothing, &taken);
        assert_eq!(short.conflict, Some(("ShortNamesConflict", "\"w\" is already in use".into())));
        assert_eq!(short.names.plural, "whips");
        assert!(short.names.short_names.is_empty());
        let kind = accept(&names("wanda", "Wand", &[]), &nothing, &taken);
        assert_eq!(kind.conflict.unwrap().0, "ListKindConflict");
        assert!(kind.names.kind.is_empty());
        // What it has, it keeps.
        let own = names("wands", "Wand", &["w"]);
        assert_eq!(accept(&own, &own, &taken).conflict, None);
    }
}
