//! What went over a network namespace's interfaces: `/proc/PID/net/dev`.

use std::fs;

use serde_json::{Value, json};

/// One interface's counts since it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Interface {
    name: String,
    received: u64,
    receive_errors: u64,
    sent: u64,
    send_errors: u64,
}

/// The interfaces that a process sees, loopback aside.
pub(super) fn of_process(pid: &str) -> Vec<Interface> {
    parse(&fs::read_to_string(format!("/proc/{pid}/net/dev")).unwrap_or_default())
}

/// Reads proc_pid_net(5): a name, then eight counts of what was received and eight of what was sent.
fn parse(text: &str) -> Vec<Interface> {
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    lines
        .filter_map(|(name, counts)| {
            let counts: Vec<u64> = counts.split_whitespace().map_while(|count| count.parse().ok()).collect();
            let [received, _, receive_errors, _, _, _, _, _, sent, _, send_errors, ..] = counts.as_slice()
            else {
                return None;
            };
            Some(Interface {
                name: name.trim().to_owned(),
                received: *received,
                receive_errors: *receive_errors,
                sent: *sent,
                send_errors: *send_errors,
            })
        })
        .filter(|interface| interface.name != "lo")
        .collect()
}

impl Interface {
    fn to_json(&self) -> Value {
        json!({
            "name": self.name, "rxBytes": self.received, "rxErrors": self.receive_errors,
            "txBytes": self.sent, "txErrors": self.send_errors,
        })
    }
}

/// `network` of the summary: `eth0`, or else the first interface, stands for the whole.
pub(super) fn summary(time: &str, interfaces: &[Interface]) -> Option<Value> {
    let main = interfaces.iter().find(|interface| interface.name == "eth0").or(interfaces.first())?;
    let mut network = main.to_json();
    network["time"] = time.into();
    network["interfaces"] = interfaces.iter().map(Interface::to_json).collect();
    Some(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_by_interface() {
        let text = "Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 100 1 0 0 0 0 0 0 100 1 0 0 0 0 0 0
  eth1: 5 1 0 0 0 0 0 0 6 1 0 0 0 0 0 0
  eth0:1296 16 2 0 0 0 0 0 840 12 3 0 0 0 0 0
 short: 1 2
";
        let interfaces = parse(text);
        let summary = summary("t", &interfaces).unwrap();
        assert_eq!(summary["name"], "eth0");
        assert_eq!((&summary["rxBytes"], &summary["txErrors"]), (&json!(1296), &json!(3)));
        assert_eq!(summary["interfaces"].as_array().unwrap().len(), 2);
        assert_eq!(super::summary("t", &[]), None);
    }
}
