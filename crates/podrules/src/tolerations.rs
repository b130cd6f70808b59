//! Which taints a pod's tolerations tolerate.

use k8s_openapi::api::core::v1::{Taint, Toleration};

/// Whether `toleration` tolerates `taint` (upstream `ToleratesTaint`).
///
/// An empty effect, or an empty key with operator `Exists`, matches all.
pub fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let empty_or =
        |own: &Option<String>, other: &str| own.as_deref().is_none_or(|own| own.is_empty() || own == other);
    if !empty_or(&toleration.effect, &taint.effect) || !empty_or(&toleration.key, &taint.key) {
        return false;
    }
    let taint_value = taint.value.as_deref().unwrap_or("");
    let value = toleration.value.as_deref().unwrap_or("");
    match toleration.operator.as_deref().unwrap_or("") {
        "" | "Equal" => toleration.key.as_deref().is_some_and(|key| !key.is_empty()) && value == taint_value,
        "Exists" => true,
        operator @ ("Lt" | "Gt") => match (taint_value.parse::<i64>(), value.parse::<i64>()) {
            (Ok(taint), Ok(own)) if operator == "Lt" => taint < own,
            (Ok(taint), Ok(own)) => taint > own,
            _ => false,
        },
        _ => false,
    }
}

/// Whether any of `tolerations` tolerates `taint`.
pub fn any_tolerates(tolerations: &[Toleration], taint: &Taint) -> bool {
    tolerations.iter().any(|toleration| tolerates(toleration, taint))
}

/// The first taint of one of the `effects` that no toleration tolerates.
pub fn first_untolerated<'a>(
    taints: &'a [Taint],
    tolerations: &[Toleration],
    effects: &[&str],
) -> Option<&'a Taint> {
    taints
        .iter()
        .filter(|taint| effects.contains(&taint.effect.as_str()))
        .find(|taint| !any_tolerates(tolerations, taint))
}

/// How long a pod may stay on a node with these `NoExecute` taints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stay {
    /// Every taint is tolerated without a limit.
    Forever,
    /// The shortest `tolerationSeconds` among the tolerations used; 0 or less: leave now.
    Seconds(i64),
    /// A taint is not tolerated.
    Leave,
}

/// Decides how long a pod may stay on a node with `taints`; other effects than `NoExecute` do not count.
pub fn stay(taints: &[Taint], tolerations: &[Toleration]) -> Stay {
    let mut least: Option<i64> = None;
    for taint in taints.iter().filter(|taint| taint.effect == "NoExecute") {
        let mut used = tolerations.iter().filter(|toleration| tolerates(toleration, taint)).peekable();
        if used.peek().is_none() {
            return Stay::Leave;
        }
        for seconds in used.filter_map(|toleration| toleration.toleration_seconds) {
            least = Some(least.map_or(seconds, |least| least.min(seconds)));
        }
    }
    least.map_or(Stay::Forever, Stay::Seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taint(key: &str, value: &str, effect: &str) -> Taint {
        Taint { key: key.into(), value: Some(value.into()), effect: effect.into(), time_added: None }
    }

    fn toleration(key: &str, operator: &str, value: &str, effect: &str) -> Toleration {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Toleration {
            key: some(key),
            operator: some(operator),
            value: some(value),
            effect: some(effect),
            toleration_seconds: None,
        }
    }

    #[test]
    fn tolerations_match_as_upstream() {
        let gpu = taint("gpu", "yes", "NoSchedule");
        for (toleration, expected) in [
            (toleration("gpu", "", "yes", "NoSchedule"), true),
            (toleration("gpu", "Equal", "yes", ""), true),
            (toleration("gpu", "Equal", "no", ""), false),
            (toleration("gpu", "Exists", "", ""), true),
            (toleration("", "Exists", "", ""), true),
            (toleration("", "", "", ""), false),
            (toleration("cpu", "Exists", "", ""), false),
            (toleration("gpu", "Exists", "", "NoExecute"), false),
        ] {
            assert_eq!(tolerates(&toleration, &gpu), expected, "{toleration:?}");
        }
        assert!(tolerates(&toleration("n", "Gt", "3", ""), &taint("n", "5", "NoSchedule")));
    }

    #[test]
    fn stays_as_long_as_the_shortest_toleration() {
        let taints = [taint("a", "", "NoExecute"), taint("b", "", "NoSchedule")];
        assert_eq!(stay(&taints, &[]), Stay::Leave);
        assert_eq!(stay(&taints[1..], &[]), Stay::Forever);
        let mut short = toleration("a", "Exists", "", "");
        assert_eq!(stay(&taints, std::slice::from_ref(&short)), Stay::Forever);
        short.toleration_seconds = Some(30);
        assert_eq!(stay(&taints, &[short]), Stay::Seconds(30));
    }
}
