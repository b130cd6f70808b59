//! What holds of any quantity: it is as exact as whole numbers are, and comes back from its text as it went.

use testkit::Dice;

use super::*;

fn digits(dice: &mut Dice, most: usize) -> String {
    (0..dice.roll(most + 1)).map(|_| char::from(b'0' + dice.roll(10) as u8)).collect()
}

/// A text, and its value in nanos reckoned by whole numbers alone.
fn any(dice: &mut Dice) -> (String, i128) {
    let (mut whole, fraction) = (digits(dice, 9), digits(dice, 9));
    if whole.is_empty() && fraction.is_empty() {
        whole.push('7');
    }
    // The value is `number` times ten to the power, over one.
    let number: i128 = format!("{whole}{fraction}").parse().unwrap();
    let places = 9 - fraction.len() as i32;
    let (suffix, ten, two) = match dice.roll(3) {
        0 => {
            let (name, power) = *dice.pick(&DECIMAL);
            (name.to_owned(), power, 0)
        }
        1 => {
            let (name, bits) = *dice.pick(&BINARY);
            (name.to_owned(), 0, bits)
        }
        _ => {
            let power = dice.roll(19) as i32 - 9;
            (format!("e{power}"), power, 0)
        }
    };
    let power = places + ten;
    let number = number << two;
    let nanos = match power {
        0.. => number * 10_i128.pow(power as u32),
        _ => ceil_div(number, 10_i128.pow(power.unsigned_abs())),
    };
    let nanos = nanos.min(MAX);
    let point = if fraction.is_empty() && dice.roll(2) == 0 { "" } else { "." };
    match dice.roll(3) {
        0 => (format!("-{whole}{point}{fraction}{suffix}"), -nanos),
        1 => (format!("+{whole}{point}{fraction}{suffix}"), nanos),
        _ => (format!("{whole}{point}{fraction}{suffix}"), nanos),
    }
}

#[test]
fn any_quantity_is_exact_and_comes_back() {
    let mut dice = Dice::new(0x2545_F491_4F6C_DD1D);
    let mut before = (Quantity::ZERO, 0_i128);
    for _ in 0..50_000 {
        let (text, nanos) = any(&mut dice);
        let quantity: Quantity = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(quantity.nanos, nanos, "{text}");
        let printed = quantity.to_string();
        let again: Quantity = printed.parse().unwrap_or_else(|error| panic!("{text} as {printed}: {error}"));
        assert_eq!(again, quantity, "{text} printed as {printed}");
        assert_eq!(again.to_string(), printed, "{text}");
        assert_eq!(quantity.cmp(&before.0), nanos.cmp(&before.1), "{text} and {}", before.0);
        assert_eq!(
            (quantity + before.0).nanos,
            (nanos + before.1).clamp(-MAX, MAX),
            "{text} and {}",
            before.0
        );
        assert_eq!(quantity - quantity, Quantity::ZERO);
        assert_eq!(i128::from(quantity.value()), ceil_div(nanos, NANO), "{text}");
        assert_eq!(quantity.is_whole(), nanos % NANO == 0, "{text}");
        before = (quantity, nanos);
    }
}

#[test]
fn any_text_is_read_or_refused() {
    let mut dice = Dice::new(0x9E37_79B9_7F4A_7C15);
    const PIECES: [&str; 14] =
        ["0", "9", ".", "-", "+", "e", "E", "Ki", "m", "n", "1024", "999999999999", " ", "é"];
    for _ in 0..50_000 {
        let text: String = (0..dice.roll(7)).map(|_| *dice.pick(&PIECES)).collect();
        if let Ok(quantity) = text.parse::<Quantity>() {
            let printed = quantity.to_string();
            assert_eq!(printed.parse::<Quantity>().unwrap(), quantity, "{text} printed as {printed}");
        }
    }
}
