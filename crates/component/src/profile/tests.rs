use std::hint::black_box;
use std::time::Instant;

use super::*;

/// The fields of a message: number, and content of those that have a length.
fn fields(mut data: &[u8]) -> Vec<(u64, Vec<u8>)> {
    fn varint(data: &mut &[u8]) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = data[0];
            *data = &data[1..];
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return value;
            }
        }
    }
    let mut fields = Vec::new();
    while !data.is_empty() {
        let tag = varint(&mut data);
        let content = match tag & 7 {
            0 => varint(&mut data).to_le_bytes().to_vec(),
            2 => {
                let length = varint(&mut data) as usize;
                let (content, rest) = data.split_at(length);
                data = rest;
                content.to_vec()
            }
            other => panic!("wire type {other}"),
        };
        fields.push((tag >> 3, content));
    }
    fields
}

#[inline(never)]
fn burn_for_the_profile(until: Instant) -> u64 {
    let mut sum = 0u64;
    while Instant::now() < until {
        for number in 0..10_000u64 {
            sum = black_box(sum.wrapping_mul(31).wrapping_add(number));
        }
    }
    sum
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_profile_names_the_functions_that_ran() {
    let burning =
        tokio::task::spawn_blocking(|| burn_for_the_profile(Instant::now() + Duration::from_millis(1500)));
    // One at a time.
    let ask = || async { answer("/debug/pprof/profile", "seconds=1").await.unwrap() };
    let (page, second) = tokio::join!(ask(), ask());
    assert!(String::from_utf8_lossy(&second.body).contains("already in use"));
    burning.await.unwrap();
    assert_eq!(page.status, StatusCode::OK);
    let fields = fields(&page.body);
    let strings: Vec<String> = fields
        .iter()
        .filter(|(field, _)| *field == 6)
        .map(|(_, text)| String::from_utf8(text.clone()).unwrap())
        .collect();
    assert_eq!(strings[0], "");
    assert!(strings.iter().any(|text| text.contains("burn_for_the_profile")), "{strings:?}");
    assert!(fields.iter().any(|(field, _)| *field == 2), "samples");
    assert_eq!(fields.iter().filter(|(field, _)| *field == 1).count(), 2, "two values a sample");
}

#[test]
fn seconds_are_bounded() {
    for (query, expected) in
        [("", 30), ("seconds=5", 5), ("debug=1&seconds=7", 7), ("seconds=0", 30), ("seconds=99999", 300)]
    {
        assert_eq!(seconds(query).as_secs(), expected, "{query}");
    }
}
