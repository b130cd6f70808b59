//! Keys and signatures that OpenSSL made.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::*;

/// What is signed.
pub(crate) const UID: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";

const ED25519_KEY: &str = "MCowBQYDK2VwAyEAuQ5PwiGzz0cVifMC26mIz6MwPm2DuHT2srw/h5Bv17k=";
const ED25519_PROOF: &str =
    "jowUecFIVGQe8+xX5oHguzqcfOp0l2e2cdqtRMkKnlimiaCRlsOA76BuRi0xzZie4LJeXzo7MVmzJ5nXsULaCg==";
const P256_KEY: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEFIQGQXTBAxv5UBl7GvGnk1ZI/RwCst7CkkS1DFnSrJzuoup3nhVn1az2Vi1m\
     2EK+0y5k5FHXzC6ViJgPLnbf4w==";
const P256_PROOF: &str =
    "MEQCIEpv3YrMLGZZHiGLTx7OXOdDjJMcliqDIPLqeE4+Ky5AAiAQsZ+e1UFqujqgbM1foxrgpRFCUTd1/hSwAwb7aYeohw==";
const P384_KEY: &str = "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEkWUNLUWClcI+q6GRXef3Ljyy1plZuaKfreMj0DDfkQVC44OSoGW7243O9Cbn8vdy\
     Y+o0lGzDbndb0FtuS1ORbuxb6dwDV0EIGwQnb+kaZyWGnTIOrEXiKVJPH0SWtdu+";
const P384_PROOF: &str = "MGQCMG/baUXwP3m6zBVU6sn16eJE/rV/bOY23+V1KZPw4e2hot83v/34JcKZ0E1kJnUxdQIwAL5yLexOTXUuI56ea1THgmnx\
     9wQwdYjMXlkvJveSz6YP0cd2N4PEprY4AmLLPCVz";
const P521_KEY: &str = "MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQBD4rA737ESsBb6lx5Avdf5pciQIwoKj6dwKMMgc0oZAU4PbIp8bUQFd0Kr5zJ\
     Ntf9E0eaagir48LRr0EL8hYf+C4Bk1YWdlcgrsWVaWCV/5B+xakARSHKGA9yeD0BFYaWrbgXHXn89jKazVaaWX8PSFhE+lUy\
     W0JhzS4bcGyinP8Se7Q=";
const P521_PROOF: &str = "MIGHAkE15vt0bUSpiXAVVEyz9lhJlVJUjdG/MzEVkRxC2NBu8m0pxa7LmyVQ6OZXSjDhoy1V1g58tiKOdShd56vQ3h4Y+AJC\
     Ae7ws+jYja2Hjy/QUkw9dDNxVC4fhJ9su8dIsKZadx7BX7Q6WKhcG+WmxTTqlhNMwEg43ZSIHLlF0g4M//LOGmRn";
const P224_KEY: &str = "ME4wEAYHKoZIzj0CAQYFK4EEACEDOgAEdHdXREmrnUNcS5DoJ27Gfq7ot5iQUJbwEQirPVc72ZBQ4g/3M/T1rBsJzKKLKpmD\
     PFpC2noMKo8=";
const P224_PROOF: &str =
    "MD0CHQDDkSbl3VCtof/3vxeDwmRqtyoakZ4eu3pyqVpFAhx+6UY15nzx0eehKJhxMqPxs9Rjv7H3z5Gbachw";
const RSA_KEY: &str = "MIIBojANBgkqhkiG9w0BAQEFAAOCAY8AMIIBigKCAYEApzfO234cNQ7FboFk53nJORNAB2koow4LlkE8im1JEpzX3acvKMnN\
     7ilqrLun8O2S7rvrXLBqdru2H2a3Rnbb3NkPo88nBMjCTO4n/QjV03hpA5Hf0TU52J1WUcULoxCo6yoFrsaqT70xiT9G+ePC\
     pGZXFeme/D/4fMQyzYyd3U4B060NtiITPnys1WLWWowtr8S9A4DEt56sKEsFdamIaVYk6xZyGbpt9EuGKiq2yw8GIAIj8eG4\
     nenUGrROgUERdPH50fwJ67IqcL1ZuFiBEt8bLP0YflOSvOpeWOP0VNRPzZa0AheEmVuFPWfaASlHChCRpT+TO4g84CifRa6J\
     SMQ4XthsDjsxoRSn25ate6u5EROYCbt/m9O0nBqSl35539bKeSCzS31vu7a9vGJrZFAibb5r2BqI2h0sWQqdHVuoIDYrFmYk\
     vlJs3VNnl/xyaq6lRt9te/8T/cjtoBmzYMDAGMeEIJ2z1TRfICKW5+3/p96EpdGC3B6pxsHNv2+vAgMBAAE=";
const RSA_LONG_SALT: &str = "Bo0V5k+UJUa4cKMwWWpL2xmRN7b2q1KGrUIG7bRsd9ZBWStRtbwC+KAl1fba95e0DrmufcNUf/L0pO0i2Ni3JfzfOKGGtOER\
     jv41A+IyzipPGlmYiIYlDXfnqqnlguOxiTUDntvP+ZWczogA/Umc2QJ6oBjHzWIfz/k90UsIlWaVtXYzMmsYeoVSaU1Nn1SQ\
     w3uVHGi1xtC76xQmb9Ien5qR4uO0kuTxai5RS2G7VbPPwSwI+irt20xkKzOqpFPWPowug4IzhCntq7cjIiJrVGsijyudIQgB\
     x8gUQKC/+Tx0+p19UjLns2LdOernQGxmVUVrxb1l0MwILvjjfBHkHDBwwhjBv3HVjVI3Xqpky738FDEMp3OnXWxHLm6zQCyo\
     FLEMUZbULnVH6VSejsAeMq1KIMUDjOjUkaebbPfn4whtNj5kZC4OLMfQzNjI8O6ZQ2Q27zF//GL82rYzwsbqVQvWZK58vZUK\
     eVGgRgqDiBuZYyzOJzkKuto/Mz6AevLi";
const RSA_SHORT_SALT: &str = "Gc+2lnnRFs9/3d/hCjT8ZNGy/giB/XXtF668vZ2McDd1b51bcIq1EWPbbXArYNILz41v0yYxQaXF0HY350hSfKCaqCgjbaB0\
     bpz341xDgqZTxvY0+Y6TQs9ozYLRwJ6PfIyBHyrrG6rEZ0NSg/gqrb1jgj/8CPX2+rE9dzObp5q7gWzan1bmiympzal5IhxC\
     H3N/X+MHKRCMkBynu+ZpIzuY4Ydop9PIFw7d//KozJ64ubhnx3ZcUvleEh5mGm5ou34vB1wGZDI8okNfP/3cq/uU3cIiFxd0\
     /mKTYPMsEmiJkYKfT7g9k9MNnEbx4E8vfCboaBL8euTFpKHBlXW2St/aT81oz3thZ1+NdijdxuOlBSQ8riZaiTNHk4/PUx6b\
     0b2/4yYXOIWsgpYAFxyVLtX/Mct46tXP6CxIrIIqmerLI1TWbf2r0WmeRVPrhNynxZ2B1gz7W92VcsPICtSwEm6MwahsHH+B\
     Fdv1dLUNNkxXCU0kOeJUKOOA4Qs4u2Gc";
const RSA_NO_SALT: &str = "SwmxnJmJ/1oCuf7EO4g98OhGM6QhAvXWe0lvtzsUUncdt8SEp7TsShppU2e/8K6YR7BolWbmRvyGPp9y4qgw0+YqU5fS/QIG\
     fnhdzDtYhYTI6op74XH4w7FC9e8tMzujJKkGHNmoNzO+bK4zTEyUS1LyDzZqr2s6kHRqpmjK85zCZ1mhGnKYQiaJB7liBEtE\
     FH1KD4IHbCL+rkqsVmLSWczQnfNwoGMqJosVOjKlSApom5TxaNf459SUO6cVuZ8IeYUTORr0qb0m2eUd03UfwzE0xv/AmhkB\
     XQYkAvtbaGl3Z94BxjXgiD4brjCpHNouPCahgbj/6omR1DJ1g5Ud7DHa6ayk0trbEf7Bt0OWI3HXyjVdk7yS8PB2hjV2IGFx\
     bFUfHSfvq3hczbA+9/mrOyLCUSMa4LKJwMy0ZNs4rLm49pKNspMw+HDbVe1sbrxSeaC9x7qg0NGN8XfU24+6kXqFBi3rTBxG\
     ARRpXNIvmfv+BU6uWtmSROpK7Azu7U7F";
const RSA_PKCS1: &str = "WMSVTUoptt85tnyx1Q0z8skPVRcfCRqOQXa0sJaHBn5g7pCTOrKsINURZozr7jhxz8AuvRA92NZmCsH9RprLpVCcm9LTC74t\
     BWzzt2rUCTyieJK2ZwK40sspIqdf/Y0D+q84gqpvVxSsm6A0r7L9E9P0Y1EV8ScFrB9KeNSX4ezQNh61HW4sCPnFE3+MzWLB\
     mf7hnF9q8aPJnGU/OgV7zTHXEVbXdYAt5ApKKzUv6TmGFxGZaJTGYhC9nr3N07lcooWL48vEZsm6Bcg57g1jN9AH8whpvqwE\
     b/hLbAPZiubUTYY6WKlKPWo2cZbv+2VpafI0PZbisaL1Z2TIUgcppG4PqXJ6k9nTh/GWGf84ENh0W7nzMIENPpG1UydXifLj\
     KMOU2LKpsYbOs3op+pLo9oB1fjBs/NuCjwrUbhOmQhmMMP6p9AGF2MkoGpkufC11Rlhd8FC3619hWn3VbJyiKgQP+6NsMAHe\
     AclUNXVeeM3ztFkEl3yYNNuSW1416ATy";
const RSA_2048_KEY: &str = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAuTVgAtQ/JVSEJJk/FJfoi2tes7V6o1wQZlMxkgTzyWB8ihzlMjO8\
     3Y4SPCNMwzfUpTUXGFHtyvjIhmpZoGxfUktKo4BJ+hLruPrde5YvPFc/9zOHb2wQZSN2+oGE2Z5xic98ixEbwGsyvfnTyxT/\
     FIYK+VI6OeJE8jNDU1gqsAu+Nz6BAjfVsaF8e/lBnapBqf02n/6PjuhKnGwJMMpOdIAxxt0wwG+zBcNKv91fLW/ctkPr42J4\
     8N91/FA4ybAeZ6bBHPQ0wH+gfnuG/ihn2x6KIbY7O7090h8/ixf82V6HYTIdiu2AtaO0gyIMsuEbWhE/IXPuMgj3V3Y5TNhI\
     qwIDAQAB";
const RSA_2048_PROOF: &str = "IDND1pJFFYrJE7wWqpMZYrSW90bq1Ox7g8lasi39sYSdP+1g0ZoWvk4g/omCSzoH+5N4O2JFtidJnShod7j7vyFwWG4YLtkX\
     n/OLuMnB0mSqMb2M4HUqRL3IiEx5bp3I4OkHDcsI//FAQg0L2F+1cN2FDIC1QAkhCGgzK1kRJPUqtZIgJcd6MV2wVrpmkgeQ\
     zgFMXr/38Ti3s6JLaFZP2b+qBwcyM2xqajF18FacOYhlDhmCHl8SBGgSwWQI5tcjOCgt+CaNfxE352cBV8YqhZQPjUG8j6hU\
     bQKVsWpKBsNjZUroNivMawqZl78abllVgs/px6/0mY9aEIzkiYMtZA==";
const X25519_KEY: &str = "MCowBQYDK2VuAyEAfX20tIr+ZbJJ1VyNUAyYp5kFDmo5dDUXhW0yv3eXWHk=";

/// A key and what is put forward as its proof, in base64, by name.
pub(crate) const PAIRS: [(&str, &str, &str); 12] = [
    ("Ed25519", ED25519_KEY, ED25519_PROOF),
    ("P-256", P256_KEY, P256_PROOF),
    ("P-384", P384_KEY, P384_PROOF),
    ("RSA, long salt", RSA_KEY, RSA_LONG_SALT),
    ("RSA, short salt", RSA_KEY, RSA_SHORT_SALT),
    ("RSA, no salt", RSA_KEY, RSA_NO_SALT),
    ("RSA, PKCS #1", RSA_KEY, RSA_PKCS1),
    ("RSA, 2048 bits", RSA_2048_KEY, RSA_2048_PROOF),
    ("P-521", P521_KEY, P521_PROOF),
    ("P-224", P224_KEY, P224_PROOF),
    ("X25519", X25519_KEY, ""),
    ("no key", "AQID", ""),
];

fn decoded(text: &str) -> Vec<u8> {
    BASE64_STANDARD.decode(text).unwrap()
}

#[test]
fn signatures_are_of_their_key_and_message_alone() {
    for (name, key, proof) in PAIRS {
        let (key, proof) = (Key::read(&decoded(key)), decoded(proof));
        let signed = key.as_ref().is_some_and(|key| key.has_signed(UID.as_bytes(), &proof));
        let expected = !matches!(name, "RSA, PKCS #1" | "P-224" | "X25519" | "no key");
        assert_eq!(signed, expected, "{name}");
        let Some(key) = key.filter(|_| expected) else { continue };
        assert!(!key.has_signed(b"another pod", &proof), "{name}");
        for place in [0, proof.len() / 2, proof.len() - 1] {
            let mut broken = proof.clone();
            broken[place] ^= 1;
            assert!(!key.has_signed(UID.as_bytes(), &broken), "{name}, byte {place}");
        }
        assert!(!key.has_signed(UID.as_bytes(), &proof[1..]) && !key.has_signed(UID.as_bytes(), &[]));
    }
}

#[test]
fn keys_are_read_whole_and_alone() {
    let mut key = decoded(P256_KEY);
    assert!(matches!(Key::read(&key), Some(Key::P256(_))));
    key.push(0);
    assert_eq!(Key::read(&key), None);
    assert_eq!(Key::read(&key[..20]), None);
    assert_eq!(Key::read(&decoded(X25519_KEY)), Some(Key::Other));
    assert_eq!(Key::read(&decoded(P521_KEY)), Some(Key::P521(decoded(P521_KEY)[25..].to_vec())));
    let Some(Key::Rsa(modulus, _)) = Key::read(&decoded(RSA_KEY)) else { panic!("no key of RSA") };
    assert_eq!(Key::modulus_bits(&modulus), 3072);
}

#[test]
fn numbers_that_make_no_key_sign_nothing() {
    let rsa = |modulus: &[u8], exponent: &[u8]| Key::Rsa(modulus.to_vec(), exponent.to_vec());
    for (modulus, exponent, signature) in [
        (&[][..], &[3][..], &[][..]),
        (&[0], &[3], &[0]),
        (&[15], &[0], &[1]),
        (&[15], &[1], &[1]),
        (&[16], &[3], &[1]),
        (&[15], &[3], &[15]),
        (&[0xff; 34], &[3], &[1; 34]),
        (&[0xff; 384], &[0xff; 384], &[1; 384]),
    ] {
        assert!(!rsa(modulus, exponent).has_signed(b"x", signature));
    }
}
