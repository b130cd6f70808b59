//! `/debug/api_priority_and_fairness/`: what waits where, as tables.

use flow_control::Reason;
use flow_control::dump::table;

use super::Flows;

/// Where the tables are.
pub const PATH: &str = "/debug/api_priority_and_fairness/";

impl Flows {
    /// The table of this name.
    pub fn dump(&self, name: &str, details: bool) -> Option<String> {
        match name {
            "dump_priority_levels" => Some(self.dump_levels()),
            "dump_queues" => Some(self.dump_queues()),
            "dump_requests" => Some(self.dump_requests(details)),
            _ => None,
        }
    }

    fn dump_levels(&self) -> String {
        let mut rows = Vec::new();
        for (name, lane) in &self.config.load().lanes {
            let state = lane.state();
            let counts = state.queues.counts();
            let refused = |reason: Reason| state.refused[reason as usize];
            let rejected = refused(Reason::QueueFull) + refused(Reason::ConcurrencyLimit);
            rows.push(vec![
                name.clone(),
                if state.has_queues() { counts.active.to_string() } else { "<none>".to_owned() },
                (counts.executing == 0 && counts.waiting == 0).to_string(),
                "false".to_owned(),
                counts.waiting.to_string(),
                counts.executing.to_string(),
                state.dispatched.to_string(),
                rejected.to_string(),
                refused(Reason::TimeOut).to_string(),
                refused(Reason::Cancelled).to_string(),
            ]);
        }
        let header = [
            "PriorityLevelName",
            "ActiveQueues",
            "IsIdle",
            "IsQuiescing",
            "WaitingRequests",
            "ExecutingRequests",
            "DispatchedRequests",
            "RejectedRequests",
            "TimedoutRequests",
            "CancelledRequests",
        ];
        table(&header, &rows)
    }

    fn dump_queues(&self) -> String {
        let mut rows = Vec::new();
        for (name, lane) in &self.config.load().lanes {
            for (index, waiting, executing, seats, next) in lane.state().queues.each() {
                let sum = |of: fn(flow_control::Work) -> u32| {
                    waiting.iter().map(|waiting| of(waiting.work)).sum::<u32>().to_string()
                };
                let work: f64 = waiting.iter().map(|waiting| waiting.work.amount(0.003)).sum();
                rows.push(vec![
                    name.clone(),
                    index.to_string(),
                    waiting.len().to_string(),
                    executing.to_string(),
                    seats.to_string(),
                    format!("{next:.8}ss"),
                    sum(|work| work.initial),
                    sum(flow_control::Work::seats),
                    format!("{work:.8}ss"),
                ]);
            }
        }
        let header = [
            "PriorityLevelName",
            "Index",
            "PendingRequests",
            "ExecutingRequests",
            "SeatsInUse",
            "NextDispatchR",
            "InitialSeatsSum",
            "MaxSeatsSum",
            "TotalWorkSum",
        ];
        table(&header, &rows)
    }

    fn dump_requests(&self, details: bool) -> String {
        let now = jiff::Timestamp::now();
        let since = self.now();
        let config = self.config.load();
        let mut rows = Vec::new();
        for (name, lane) in &config.lanes {
            for (index, waiting, ..) in lane.state().queues.each() {
                for (place, request) in waiting.iter().enumerate() {
                    let shown = &request.waiter.details;
                    let ago = since.saturating_sub(request.arrived);
                    let arrived = now.checked_sub(ago).unwrap_or(now);
                    let mut row = vec![
                        name.clone(),
                        shown.schema.clone(),
                        index.to_string(),
                        place.to_string(),
                        shown.flow.clone(),
                        arrived.to_string(),
                        request.work.initial.to_string(),
                        request.work.after.to_string(),
                        format!("{:?}", request.work.lasts),
                    ];
                    if details {
                        row.extend(
                            [
                                &shown.user,
                                shown.verb,
                                &shown.path,
                                &shown.namespace,
                                &shown.name,
                                &shown.version,
                                &shown.resource,
                                &shown.subresource,
                            ]
                            .map(str::to_owned),
                        );
                    }
                    rows.push(row);
                }
            }
        }
        let mut header = vec![
            "PriorityLevelName",
            "FlowSchemaName",
            "QueueIndex",
            "RequestIndexInQueue",
            "FlowDistingsher",
            "ArriveTime",
            "InitialSeats",
            "FinalSeats",
            "AdditionalLatency",
        ];
        if details {
            header.extend([
                "UserName",
                "Verb",
                "APIPath",
                "Namespace",
                "Name",
                "APIVersion",
                "Resource",
                "SubResource",
            ]);
        }
        table(&header, &rows)
    }
}
