//! Tables for resource arguments and YAML.

use super::args::{Words, words};
use super::yaml;

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

#[test]
fn yaml_is_read_as_kubernetes_reads_it() {
    let documents = yaml::documents("a: 0644\nb: yes\nc: \"0644\"\n---\n---\nd: 1.5\n").unwrap();
    assert_eq!(documents[0]["a"], 420);
    assert_eq!(documents[0]["c"], "0644");
    assert_eq!(documents.len(), 2);
    assert!(yaml::documents("a: [").is_err());
    assert_eq!(yaml::documents("{\"a\": 1}\n{\"b\": 2}").unwrap().len(), 2);
}
