//! Tables for resource arguments.

use super::args::{Words, words};

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| word.to_string()).collect()
}

#[test]
fn resource_arguments_name_types_and_names() {
    let types = |types: &[&str], names: &[&str]| Words::Types(strings(types), strings(names));
    assert_eq!(words(&strings(&["deploy,rs,po"])).unwrap(), types(&["deploy", "rs", "po"], &[]));
    assert_eq!(words(&strings(&["pod", "a", "b"])).unwrap(), types(&["pod"], &["a", "b"]));
    assert_eq!(
        words(&strings(&["pod/a", "svc/b"])).unwrap(),
        Words::Pairs(vec![("pod".into(), "a".into()), ("svc".into(), "b".into())])
    );
    for wrong in [&["pod", "pod/a"][..], &["pod/a", "b"], &["pod/a/b"], &["pod/"]] {
        assert!(words(&strings(wrong)).is_err(), "{wrong:?}");
    }
}
