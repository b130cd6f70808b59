//! Requests that OpenSSL made.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::*;

/// Requests in base64, by who signed them.
pub(crate) const REQUESTS: [(&str, &str); 18] = [
    (
        "Ed25519",
        "MIGvMGMCAQAwMDEVMBMGA1UECgwMc3lzdGVtOm5vZGVzMRcwFQYDVQQDDA5zeXN0ZW06bm9kZTp3MTAqMAUGAytlcAMhAFFPEFX8\
         FgKe0HYRo+TAhas2vh33tSKVaiXKMQ4dmd+qoAAwBQYDK2VwA0EAw+Yi/OjN5gvlKwQkxg2DfI4FLMuG+fCxaKRzcFdyIwlemYy+\
         dQqUkl43upl4OKxEGz0nO2b1WPRoG7BpldWeAQ==",
    ),
    (
        "P-256, SHA-256",
        "MIHsMIGSAgEAMDAxFTATBgNVBAoMDHN5c3RlbTpub2RlczEXMBUGA1UEAwwOc3lzdGVtOm5vZGU6dzEwWTATBgcqhkjOPQIBBggq\
         hkjOPQMBBwNCAARVt5/lnfT3r+o6ZlmSsyRGQtaAQrWS9e0cfbzjnZXJ7qk88iN5YY4eHoEgVifBrqh1NguVihCUxYprcz+RRDvj\
         oAAwCgYIKoZIzj0EAwIDSQAwRgIhAM172VD+tLq9SQQtErnGHVwvwaTtnS6QfEp07pC2LRNrAiEAzLKNu1J5s4FvcloVVrKqzwye\
         u0UufaS4mRts5Ipr0MA=",
    ),
    (
        "P-256, SHA-384",
        "MIHrMIGSAgEAMDAxFTATBgNVBAoMDHN5c3RlbTpub2RlczEXMBUGA1UEAwwOc3lzdGVtOm5vZGU6dzEwWTATBgcqhkjOPQIBBggq\
         hkjOPQMBBwNCAARVt5/lnfT3r+o6ZlmSsyRGQtaAQrWS9e0cfbzjnZXJ7qk88iN5YY4eHoEgVifBrqh1NguVihCUxYprcz+RRDvj\
         oAAwCgYIKoZIzj0EAwMDSAAwRQIhAJacUxQcNVUocXb1qScYZxksTuIbkXAs17+eS6IrrxG1AiBivhfX75ueCtzXLqmds0diKG9Z\
         0XTTRZnCLLJcBBWeQQ==",
    ),
    (
        "P-256, SHA-512",
        "MIHqMIGSAgEAMDAxFTATBgNVBAoMDHN5c3RlbTpub2RlczEXMBUGA1UEAwwOc3lzdGVtOm5vZGU6dzEwWTATBgcqhkjOPQIBBggq\
         hkjOPQMBBwNCAARVt5/lnfT3r+o6ZlmSsyRGQtaAQrWS9e0cfbzjnZXJ7qk88iN5YY4eHoEgVifBrqh1NguVihCUxYprcz+RRDvj\
         oAAwCgYIKoZIzj0EAwQDRwAwRAIgLp8TCkn9XF5m8UFvJO+7tKXRSTJ+z8wDIltaYca1d2oCIGcp4GrImp35YVo5ncEKHoYK38tH\
         sgats5WMN4yX/OQt",
    ),
    (
        "P-384, SHA-256",
        "MIIBJzCBrwIBADAwMRUwEwYDVQQKDAxzeXN0ZW06bm9kZXMxFzAVBgNVBAMMDnN5c3RlbTpub2RlOncxMHYwEAYHKoZIzj0CAQYF\
         K4EEACIDYgAEDWSGiSbIiPgvPjy+d6cRijSuoL0Owz9hWdveNCANUz7ID+T1ZUA9sJWqJL2+G4LPNm8Fe/vXu03qULGr7rxr4vOH\
         A6bfCEy0UpkgV011X5Og28Ubl0OYTcaJelfSxl9XoAAwCgYIKoZIzj0EAwIDZwAwZAIwfXiZtN2nBZdT2vdmywyEnUme9jdzd1F9\
         ewor3v5Ypv+AA9WeFNqrYEqgsc9WI6EDAjAcO2Kd1rnPpIdURGnwvh3CogGchjB/+OBztTCxpxbkU50vL/L6S1fQJpbBvkWxf5s=",
    ),
    (
        "P-384, SHA-384",
        "MIIBKDCBrwIBADAwMRUwEwYDVQQKDAxzeXN0ZW06bm9kZXMxFzAVBgNVBAMMDnN5c3RlbTpub2RlOncxMHYwEAYHKoZIzj0CAQYF\
         K4EEACIDYgAEDWSGiSbIiPgvPjy+d6cRijSuoL0Owz9hWdveNCANUz7ID+T1ZUA9sJWqJL2+G4LPNm8Fe/vXu03qULGr7rxr4vOH\
         A6bfCEy0UpkgV011X5Og28Ubl0OYTcaJelfSxl9XoAAwCgYIKoZIzj0EAwMDaAAwZQIwOeML2siPEEsvakQx1GDan/WEzJQLfkbt\
         oILAV3Te0KUEUJ1nUEKKtDMc3b0etHHeAjEAyQVqjx9t7JTvnM07SXwaoNhQL8OQ5tAoZOJrxbhU901HWMuWY/6xs0KEyvBip3y5",
    ),
    (
        "P-521, SHA-256",
        "MIIBczCB1QIBADAwMRUwEwYDVQQKDAxzeXN0ZW06bm9kZXMxFzAVBgNVBAMMDnN5c3RlbTpub2RlOncxMIGbMBAGByqGSM49AgEG\
         BSuBBAAjA4GGAAQAHVoevG0ZibTZm8dGMJPzWyohXxeDJHkxBKcgFBo0XCejZJ/Jf4/QNXbUiJ6GJduDmw+HC+P6PNqHlAShyRf5\
         VLoAaw8cxuBmFkSGWeCLMxOcvfAsr+7bI2IKoppzTuO5HaWKoX5DJ9u2D5uJ4rzX3UgXLDvJqG3r80ToqJZgGd2aSdOgADAKBggq\
         hkjOPQQDAgOBjAAwgYgCQgDY79XtRRYjthVSzzlhf2BwCVMrGMsf7Q3blhqeiHCLbw62jWxFTQ8J+hvc9FVNIOK9xFrOvGMEZTVM\
         Fx1W0vF+jwJCALGOvYRR+JrEuhsz2I2Z9tZTEGfx8b949GUBJCFp8tFWjRq6+3dFdESSeFjS/4d5FyBLAQOonvkvr53UA4mxDO3f",
    ),
    (
        "P-521, SHA-512",
        "MIIBczCB1QIBADAwMRUwEwYDVQQKDAxzeXN0ZW06bm9kZXMxFzAVBgNVBAMMDnN5c3RlbTpub2RlOncxMIGbMBAGByqGSM49AgEG\
         BSuBBAAjA4GGAAQAHVoevG0ZibTZm8dGMJPzWyohXxeDJHkxBKcgFBo0XCejZJ/Jf4/QNXbUiJ6GJduDmw+HC+P6PNqHlAShyRf5\
         VLoAaw8cxuBmFkSGWeCLMxOcvfAsr+7bI2IKoppzTuO5HaWKoX5DJ9u2D5uJ4rzX3UgXLDvJqG3r80ToqJZgGd2aSdOgADAKBggq\
         hkjOPQQDBAOBjAAwgYgCQgFRSoMWtrR+CNnvjQbh0faZak2FRkK8aIV2NuhSMrM/RaCPMTiOnF1irskR+1pl6S1ohcEq0fGNry5b\
         rPhX3AjhbQJCAJQO6CAAXhXTL9Nm642/7fgET+cn7PrBV+S7H0AezfuRBkZS9gMmEVdR/eZTBPd0d+m0Zuv7WiGJhV7Uu+X0gbkz",
    ),
    (
        "RSA of 1024 bits, SHA-256",
        "MIIBbzCB2QIBADAwMRUwEwYDVQQKDAxzeXN0ZW06bm9kZXMxFzAVBgNVBAMMDnN5c3RlbTpub2RlOncxMIGfMA0GCSqGSIb3DQEB\
         AQUAA4GNADCBiQKBgQDZsGM+a/faIgD+PUQ7ckRI9BRIgzlDHCpytAWdVcNcJU5V5a/rVCpQ0N2fscTaVuQKfvNSs1baxXAYV3lA\
         Lt9f1Bz0ZyhkCrirK5H2JY3+rodKJifXNDHjVI0unTt7/+pYX2xaautfwFf9LoK9Iy0B/kGaciE7Qoe7rTBsd9rtQQIDAQABoAAw\
         DQYJKoZIhvcNAQELBQADgYEAOEoFHdG9AbS7V3iYp2+X2wVOtRQiUC/50dugp/ZXhurqYz6PMWESjX8RQ9ov9cYg/c4/HgvweMtL\
         rqndKzxY1Ikg/72V6K1YHvoOsk6Z9r/3Q3JN7YZTwBje/pMrV3iDN8L+dOKb5hHIpHoSba/d5xh5USLOaAkuXe6IdTx7u5k=",
    ),
    (
        "RSA, SHA-1",
        "MIIBbzCB2QIBADAwMRUwEwYDVQQKDAxzeXN0ZW06bm9kZXMxFzAVBgNVBAMMDnN5c3RlbTpub2RlOncxMIGfMA0GCSqGSIb3DQEB\
         AQUAA4GNADCBiQKBgQDZsGM+a/faIgD+PUQ7ckRI9BRIgzlDHCpytAWdVcNcJU5V5a/rVCpQ0N2fscTaVuQKfvNSs1baxXAYV3lA\
         Lt9f1Bz0ZyhkCrirK5H2JY3+rodKJifXNDHjVI0unTt7/+pYX2xaautfwFf9LoK9Iy0B/kGaciE7Qoe7rTBsd9rtQQIDAQABoAAw\
         DQYJKoZIhvcNAQEFBQADgYEANnzi8N8hNDhsBI6ArpYL2qh77uCGiNIU0NP+N++MHrWSGne6UKZSIs5HSHF+vRP6lKR/fAGfj11K\
         A30EsuNgQHlzzVgN9eG7mdL3Cir+Qb5zOJgZw/Y2l8jMWQvkexiaE5HCjqkJM5B9WCV9d/hePv8hMU+2M4wv3hiqX0rbxxE=",
    ),
    (
        "RSA, SHA-384",
        "MIICdTCCAV0CAQAwMDEVMBMGA1UECgwMc3lzdGVtOm5vZGVzMRcwFQYDVQQDDA5zeXN0ZW06bm9kZTp3MTCCASIwDQYJKoZIhvcN\
         AQEBBQADggEPADCCAQoCggEBAIZplOzNw23cUkl8W4fqe8iv1T+ddcBDJZVkBY6bBiepXRBnc350JeQhoCSQnYsRX8MkgA5hKxsp\
         2cv2cxaUa7TmR+pelnj7HPnBNyCUhggtPMxBkUqiCHA/+8sRsxG5/pv5rauS/9zwTkiLpZETNzk4sm9CipbDFU9QLbkF2E0e1+nO\
         DUY66kls3VpA1DX1hrKP7pHFAVqEqbfUB82cuDwvioJPYWb0OlymuHUjyHJ382cZ36UEE+jk2EEypoYvw2/k6iJxFNXMl6OxKf7/\
         4vOacjnRnqoysWY3RTL79OETpDAYT9Y3uboTpR0Ww8Slgt7x4aNBiFShOQGJKyfsNEECAwEAAaAAMA0GCSqGSIb3DQEBDAUAA4IB\
         AQB0Nru5of/VME6g8fZtF1rwTkGkAE9H7cIRZM/zsYyUXj/wc/5jDQEDUDGkDxodVD6MLqlWPNq1WCsXApXRPnXlIBGBbk3uMYvI\
         PzwFyfcWift8Dr02NdKrAMI3ZBazYfFiLdkDY+GORZ87WVjMl0GFj0iHcYygaMGVmZM5MCSWQKi+hT45D3njZBLWcWNnfSVpcKbw\
         S5TsHDgrrTx0tM/nU1j6iM/AFML5RJS1ln3nrBBARxZFL504ZL7ZYii6K/kaAr2p8/gHPNNP6rfDQyamr3X5PQPHbHDAqGX1pCe1\
         wyq18Uj8s1dIUPnK+OZFpY/N5PzTHe4BTNvKyCCn3aPt",
    ),
    (
        "RSA, SHA-512",
        "MIIBbzCB2QIBADAwMRUwEwYDVQQKDAxzeXN0ZW06bm9kZXMxFzAVBgNVBAMMDnN5c3RlbTpub2RlOncxMIGfMA0GCSqGSIb3DQEB\
         AQUAA4GNADCBiQKBgQDZsGM+a/faIgD+PUQ7ckRI9BRIgzlDHCpytAWdVcNcJU5V5a/rVCpQ0N2fscTaVuQKfvNSs1baxXAYV3lA\
         Lt9f1Bz0ZyhkCrirK5H2JY3+rodKJifXNDHjVI0unTt7/+pYX2xaautfwFf9LoK9Iy0B/kGaciE7Qoe7rTBsd9rtQQIDAQABoAAw\
         DQYJKoZIhvcNAQENBQADgYEAbD6uwrUkewm3pJEyzHRPbEF1d+LrWhoRbKAq68yegYu3FJaiI/7RNHRHciYecT6JBmDsyJ9WXjDx\
         L2LkCkiAX878YL7tyCt7y7W2rENTEu3RFLDDAqI9dZvo4qPdc1f/JbevabfrfJzZn4SOZZIMyEg4S2NbgnuVUbGBojO/hv0=",
    ),
    (
        "RSA-PSS, SHA-256",
        "MIIChTCCATkCAQAwDDEKMAgGA1UEAwwBYTCCASIwDQYJKoZIhvcNAQEBBQADggEPADCCAQoCggEBAIZplOzNw23cUkl8W4fqe8iv\
         1T+ddcBDJZVkBY6bBiepXRBnc350JeQhoCSQnYsRX8MkgA5hKxsp2cv2cxaUa7TmR+pelnj7HPnBNyCUhggtPMxBkUqiCHA/+8sR\
         sxG5/pv5rauS/9zwTkiLpZETNzk4sm9CipbDFU9QLbkF2E0e1+nODUY66kls3VpA1DX1hrKP7pHFAVqEqbfUB82cuDwvioJPYWb0\
         OlymuHUjyHJ382cZ36UEE+jk2EEypoYvw2/k6iJxFNXMl6OxKf7/4vOacjnRnqoysWY3RTL79OETpDAYT9Y3uboTpR0Ww8Slgt7x\
         4aNBiFShOQGJKyfsNEECAwEAAaAAMEEGCSqGSIb3DQEBCjA0oA8wDQYJYIZIAWUDBAIBBQChHDAaBgkqhkiG9w0BAQgwDQYJYIZI\
         AWUDBAIBBQCiAwIBIAOCAQEAWgcxGEEcQYKS9fo9xXT0xs3uGBE2sI8eHcuVy/oEioACxMKExcDMJ6a0KlFkqkFTg0QfFvZVH9CZ\
         YO1JxbAC8FGX3oG+B/EVdBcW6D7ZFTv8sR7TVN212rOTx/rOXWeu6DDrxWzpidQxE2PMoi4GlO5SKuxkGSISfgCS+1gaM2sytl2K\
         OMpIOfHByY7sgFM/dzzee4K+vLhKMO9nmdG9q0IK0by6JNyzJ24dfjJTYvQ1VqL1enrSkWHH66g/aMEzS37HAF0kFfaGDcFHosjq\
         7StLZJi0m9jzhdqV929z4jk3Tmla6q1IawKWOD4mvTWmSKByNwuR4qUQOwRJdzgx2A==",
    ),
    (
        "P-256, SHA-1",
        "MIHqMIGSAgEAMDAxFTATBgNVBAoMDHN5c3RlbTpub2RlczEXMBUGA1UEAwwOc3lzdGVtOm5vZGU6dzEwWTATBgcqhkjOPQIBBggqhkjO\
         PQMBBwNCAARYNSdewsHBFIQcFIjMUfa5Vlglx8QV+2C2BUYsvloDPOla2bNC3BPEXsXh/1A5PP2Uk44BrgPywBTKBZoWQm0SoAAwCQYH\
         KoZIzj0EAQNIADBFAiEA5UvQMiop659umZXqzngnRXzJfcicrvWI9S0c10ll1N0CIHhY1LpGg19U4z9veuFDZ2r9Be3vYLmJE6ABFC7d\
         wBpY",
    ),
    (
        "P-384, SHA-1",
        "MIIBKDCBrwIBADAwMRUwEwYDVQQKDAxzeXN0ZW06bm9kZXMxFzAVBgNVBAMMDnN5c3RlbTpub2RlOncxMHYwEAYHKoZIzj0CAQYFK4EE\
         ACIDYgAEaRDGd1HiuKcvnAaZX8/GFkD0QfJoC8aq8fcX2jwPFd1DxWHRcgDB+rDwP43KyDkSUbMWuGVGUm2j8WxeJkNd6dvAoeKtDwTd\
         9vmS8jCJoAlcIlJf6FvMYYBRXcmQtJyooAAwCQYHKoZIzj0EAQNpADBmAjEA/kIbVBK/2Mm6IPZyYmXhoPnFg43V/vBxPOsOYAgQQ060\
         thWdQV+BD5oQH83XPLu2AjEAlGmu6YmJR7L0vxtIIJX2T32gtec5vWO9hy/kuvQGme9n3AUneESnZMPJSoRigsmZ",
    ),
    (
        "P-384, SHA-512",
        "MIIBKTCBrwIBADAwMRUwEwYDVQQKDAxzeXN0ZW06bm9kZXMxFzAVBgNVBAMMDnN5c3RlbTpub2RlOncxMHYwEAYHKoZIzj0CAQYFK4EE\
         ACIDYgAEaRDGd1HiuKcvnAaZX8/GFkD0QfJoC8aq8fcX2jwPFd1DxWHRcgDB+rDwP43KyDkSUbMWuGVGUm2j8WxeJkNd6dvAoeKtDwTd\
         9vmS8jCJoAlcIlJf6FvMYYBRXcmQtJyooAAwCgYIKoZIzj0EAwQDaQAwZgIxAJzS+lFbTK8SwKRTOsZYj1WUq0VXIbyCMFwPKwIqQcsH\
         YRnIP7Rc3oOC1XawEvmQewIxAKTCNLYEFgU7iEtlONU0aq2t3gNrDUDl0lp8sYcddFenJTYbZEehXKCwAWFKnxSpiw==",
    ),
    (
        "P-521, SHA-1",
        "MIIBcTCB1QIBADAwMRUwEwYDVQQKDAxzeXN0ZW06bm9kZXMxFzAVBgNVBAMMDnN5c3RlbTpub2RlOncxMIGbMBAGByqGSM49AgEGBSuB\
         BAAjA4GGAAQAo7iCZss0TOSz9SsrN9BQD/LPl8n5QFsxV3NJBvatB9yOm2sGTJc5DVkHRSSvD3RzCxYtC9OZojZ6ppMx3SDjfJ0A/zHk\
         CQ5ftMp5yCvWtYBRJ7P2PFilRCRK+alTIgFFN+0H+AaWTeyI/UXXg2BNuRo+Hct9qly19/HjImq2uaN3inugADAJBgcqhkjOPQQBA4GL\
         ADCBhwJBLOcv4oiJGrGUlOP6dIMzbD7yNQtQoGzrneI9EwOWvP5ksOh/A6g9Z8JNVDa3w0iaPYBmJHg7ul9JW8bT9ReAl8wCQgDNLStR\
         H8jMY9F5tUeZ6MCa05RpIbe7ln5lf/s1telCXsykzUCmi+5uMpmWGP9QhN/HapQMzEoCzchHmuuDn2bDAA==",
    ),
    (
        "P-521, SHA-384",
        "MIIBczCB1QIBADAwMRUwEwYDVQQKDAxzeXN0ZW06bm9kZXMxFzAVBgNVBAMMDnN5c3RlbTpub2RlOncxMIGbMBAGByqGSM49AgEGBSuB\
         BAAjA4GGAAQAo7iCZss0TOSz9SsrN9BQD/LPl8n5QFsxV3NJBvatB9yOm2sGTJc5DVkHRSSvD3RzCxYtC9OZojZ6ppMx3SDjfJ0A/zHk\
         CQ5ftMp5yCvWtYBRJ7P2PFilRCRK+alTIgFFN+0H+AaWTeyI/UXXg2BNuRo+Hct9qly19/HjImq2uaN3inugADAKBggqhkjOPQQDAwOB\
         jAAwgYgCQgDhCZl3090C2H8iBdGKJCWg3Skn2S3G/qpg6ssLrfj2z3ehUgz2sn13t42c9EVyGJXunl/tzuqVJRzlWqWOmUrvRAJCAJpg\
         1x0l3kHNn/KUXEBYj7XwkYrMX/0tXFTQQj8EerKvRxoJPYEsVzQ2Gxf+mqv/2aTv1aJdvuAPhRAQAnrTCRwK",
    ),
];

fn pem(kind: &str, body: &str) -> String {
    format!("-----BEGIN {kind}-----\n{body}\n-----END {kind}-----\n")
}

/// A request whose signature is good.
pub(crate) fn good() -> String {
    pem("CERTIFICATE REQUEST", REQUESTS[1].1)
}

#[test]
fn requests_are_signed_by_their_own_key() {
    for (name, request) in REQUESTS {
        assert_eq!(check(&pem("CERTIFICATE REQUEST", request)), Ok(()), "{name}");
        let mut broken = BASE64_STANDARD.decode(request).unwrap();
        // The last letter of the subject.
        let place = broken.windows(2).position(|pair| pair == b"w1" || pair == b"\x01a").unwrap_or(20);
        broken[place + 1] ^= 1;
        let broken = pem("CERTIFICATE REQUEST", &BASE64_STANDARD.encode(broken));
        assert!(check(&broken).is_err_and(|why| why.contains("verif")), "{name}");
    }
}

#[test]
fn what_is_no_request_is_refused() {
    let request = REQUESTS[1].1;
    let longer = {
        let mut der = BASE64_STANDARD.decode(request).unwrap();
        der.push(0);
        BASE64_STANDARD.encode(der)
    };
    let kind = "PEM block type must be CERTIFICATE REQUEST";
    for (text, expected) in [
        (String::new(), kind),
        (pem("NEW CERTIFICATE REQUEST", request), kind),
        (format!("{}{}", pem("CERTIFICATE", request), good()), kind),
        (pem("CERTIFICATE REQUEST", "AAAA"), "x509: malformed certificate request"),
        (pem("CERTIFICATE REQUEST", &request[..40]), "x509: malformed certificate request"),
        (pem("CERTIFICATE REQUEST", &longer), "asn1: syntax error: trailing data"),
    ] {
        assert_eq!(check(&text), Err(expected), "{text}");
    }
}
