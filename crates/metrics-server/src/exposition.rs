//! Reading a kubelet's `/metrics/resource`: Prometheus' text, of which five series are of use.

/// One measurement of something that uses processor and memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Measured {
    /// When, in milliseconds since the epoch.
    pub at: i64,
    /// Processor time used so far, in nanoseconds.
    pub cpu_nanos: u64,
    /// Working set in bytes.
    pub memory: u64,
}

/// One container's measurement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container<'a> {
    /// The pod's namespace.
    pub namespace: &'a str,
    /// The pod.
    pub pod: &'a str,
    /// The container.
    pub name: &'a str,
    /// What was measured.
    pub measured: Measured,
    /// When it was started, in milliseconds since the epoch; 0 if the kubelet does not say.
    pub started: i64,
}

/// What a kubelet told.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sample<'a> {
    /// The node itself; `None` unless both of its series are there.
    pub node: Option<Measured>,
    /// The containers of which both series are there, in the text's order.
    pub containers: Vec<Container<'a>>,
}

/// Reads a kubelet's text; `now` stands in for lines without a time. Lines of other series, and such that are not
/// understood, are passed over.
pub fn parse(text: &str, now: i64) -> Sample<'_> {
    let mut node = (Measured::default(), Seen::default());
    // The series of one container are far apart in the text: found again by sorting.
    let mut found: Vec<(Container<'_>, Seen)> = Vec::new();
    let mut last = 0;
    for line in text.lines() {
        let Some(line) = Line::parse(line) else { continue };
        let at = line.at.unwrap_or(now);
        match line.name {
            "node_cpu_usage_seconds_total" => note_cpu(&mut node.0, &mut node.1, &line, at),
            "node_memory_working_set_bytes" => note_memory(&mut node.0, &mut node.1, &line, at),
            "container_cpu_usage_seconds_total"
            | "container_memory_working_set_bytes"
            | "container_start_time_seconds" => {
                let Some((namespace, pod, name)) = line.container() else { continue };
                let is = |entry: &(Container<'_>, Seen)| {
                    entry.0.name == name && entry.0.pod == pod && entry.0.namespace == namespace
                };
                // Kubelets write every series in the same order: the next entry is nearly always the one.
                let next = last + 1;
                let at_index = if found.get(next).is_some_and(is) {
                    next
                } else if let Some(index) = found.iter().position(is) {
                    index
                } else {
                    let container =
                        Container { namespace, pod, name, measured: Measured::default(), started: 0 };
                    found.push((container, Seen::default()));
                    found.len() - 1
                };
                last = at_index;
                let (container, seen) = &mut found[at_index];
                match line.name {
                    "container_cpu_usage_seconds_total" => note_cpu(&mut container.measured, seen, &line, at),
                    "container_memory_working_set_bytes" => {
                        note_memory(&mut container.measured, seen, &line, at);
                    }
                    _ => container.started = to_i64(line.value * 1000.0),
                }
            }
            _ => {}
        }
    }
    Sample {
        node: node.1.is_whole().then_some(node.0),
        containers: found
            .into_iter()
            .filter(|(_, seen)| seen.is_whole())
            .map(|(container, _)| container)
            .collect(),
    }
}

#[derive(Default, Clone, Copy)]
struct Seen {
    cpu: bool,
    memory: bool,
}

impl Seen {
    fn is_whole(self) -> bool {
        self.cpu && self.memory
    }
}

fn note_cpu(measured: &mut Measured, seen: &mut Seen, line: &Line<'_>, at: i64) {
    seen.cpu = true;
    measured.cpu_nanos = to_i64(line.value * 1e9).unsigned_abs();
    // The rate is of processor time, so its time counts.
    measured.at = at;
}

fn note_memory(measured: &mut Measured, seen: &mut Seen, line: &Line<'_>, at: i64) {
    seen.memory = true;
    measured.memory = to_i64(line.value).unsigned_abs();
    if !seen.cpu {
        measured.at = at;
    }
}

/// Saturates at both ends; what is no number is 0.
#[expect(clippy::cast_possible_truncation, reason = "saturates")]
fn to_i64(value: f64) -> i64 {
    value.max(0.0) as i64
}

struct Line<'a> {
    name: &'a str,
    labels: &'a str,
    value: f64,
    at: Option<i64>,
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        if line.starts_with('#') {
            return None;
        }
        let (name, labels, rest) = match line.split_once('{') {
            // No name that labels of these series hold has a brace.
            Some((name, rest)) => {
                let (labels, rest) = rest.split_once('}')?;
                (name, labels, rest)
            }
            None => {
                let (name, rest) = line.split_once(' ')?;
                (name, "", rest)
            }
        };
        let mut numbers = rest.split_ascii_whitespace();
        let value: f64 = numbers.next()?.parse().ok()?;
        let at = numbers.next().and_then(|text| text.parse().ok());
        Some(Self { name: name.trim(), labels, value, at })
    }

    fn container(&self) -> Option<(&'a str, &'a str, &'a str)> {
        let (mut namespace, mut pod, mut container) = ("", "", "");
        for pair in self.labels.split(',') {
            let Some((key, value)) = pair.split_once('=') else { continue };
            let value = value.trim().trim_matches('"');
            match key.trim() {
                "namespace" => namespace = value,
                "pod" => pod = value,
                "container" => container = value,
                _ => {}
            }
        }
        (!namespace.is_empty() && !pod.is_empty() && !container.is_empty())
            .then_some((namespace, pod, container))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_is_of_use_from_a_kubelets_text() {
        let text = r#"# HELP container_cpu_usage_seconds_total [STABLE] Cumulative cpu time
# TYPE container_cpu_usage_seconds_total counter
container_cpu_usage_seconds_total{container="a",namespace="n",pod="p"} 1.5 1700000000123
container_cpu_usage_seconds_total{container="b",namespace="n",pod="p"} 2e-3 1700000000124
container_cpu_usage_seconds_total{container="half",namespace="n",pod="p"} 1 1700000000124
container_memory_working_set_bytes{container="a",namespace="n",pod="p"} 4.096e+06 1700000000123
container_memory_working_set_bytes{pod="p",namespace="n",container="b"} 10
container_start_time_seconds{container="b",namespace="n",pod="p"} 1.69e+09
node_cpu_usage_seconds_total 100.25 1700000000200
node_memory_working_set_bytes 7
pod_cpu_usage_seconds_total{namespace="n",pod="p"} 3 1700000000123
nonsense
container_memory_working_set_bytes{container="c",namespace="n",pod="p" 1
"#;
        let sample = parse(text, 5);
        let container = |name, at, cpu_nanos, memory, started| Container {
            namespace: "n",
            pod: "p",
            name,
            measured: Measured { at, cpu_nanos, memory },
            started,
        };
        assert_eq!(
            sample,
            Sample {
                node: Some(Measured { at: 1_700_000_000_200, cpu_nanos: 100_250_000_000, memory: 7 }),
                containers: vec![
                    container("a", 1_700_000_000_123, 1_500_000_000, 4_096_000, 0),
                    container("b", 1_700_000_000_124, 2_000_000, 10, 1_690_000_000_000),
                ],
            }
        );
        assert_eq!(parse("", 0), Sample::default());
    }
}
