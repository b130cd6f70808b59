//! What holds of any selector of fields: its text selects what it selects, whatever stands in it.

use testkit::Dice;

use super::*;

#[test]
fn any_selector_is_read_back_from_its_text() {
    let mut dice = Dice::new(0x2545_F491_4F6C_DD1D);
    const FIELDS: [&str; 3] = ["metadata.name", "spec.nodeName", "status.phase"];
    const PIECES: [&str; 9] = ["a", ",", "=", "\\", "!", " ", "==", "é", "web-1"];
    for _ in 0..10_000 {
        let requirements: Vec<Requirement> = (0..dice.roll(4))
            .map(|_| Requirement {
                field: (*dice.pick(&FIELDS)).to_owned(),
                value: (0..dice.roll(4)).map(|_| *dice.pick(&PIECES)).collect(),
                equal: dice.roll(2) == 0,
            })
            .collect();
        let selector = Selector { requirements };
        let text = selector.to_string();
        let read = parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(read, selector, "{text}");
        let value: String = (0..dice.roll(3)).map(|_| *dice.pick(&PIECES)).collect();
        let expected =
            selector.requirements.iter().all(|requirement| (requirement.value == value) == requirement.equal);
        assert_eq!(read.matches(|_| Some(&value)), expected, "{text} of {value}");
        for field in FIELDS {
            if let Some(exact) = read.exact(field) {
                assert!(selector.requirements.iter().any(|one| one.field == field && one.value == exact));
            }
        }
    }
}
