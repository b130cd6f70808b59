//! Calls by which the runtime makes something. A worker that is told to end leaves the step it is at, but a runtime that
//! has begun to start a container neither stops nor removes it: such calls go on, and are waited for before the end.

use std::{future::Future, time::Duration};

use tokio::sync::{oneshot, watch};

/// How long the end of a pod waits for them. A sandbox whose network or image hangs is not waited for.
const LIMIT: Duration = Duration::from_secs(10);

/// How many of a pod's calls are under way.
#[derive(Default)]
pub(super) struct Making(watch::Sender<usize>);

/// One of them.
struct UnderWay(watch::Sender<usize>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl Making {
    /// Carries out a call to its end, also when nobody waits for it any more.
    pub(super) async fn carry_out<T: Send + 'static>(
        &self,
        process: &component::Runtime,
        call: impl Future<Output = Result<T, cri::Error>> + Send + 'static,
    ) -> Result<T, cri::Error> {
        let (tell, told) = oneshot::channel();
        self.0.send_modify(|count| *count += 1);
        let under_way = UnderWay(self.0.clone());
        process.spawn_session(async move {
            let outcome = call.await;
            drop(under_way);
            let _ = tell.send(outcome);
        });
        told.await.unwrap_or_else(|_| Err(cri::Error::Failed("the kubelet ends".to_owned())))
    }

    /// Waits until none is under way, for as long as that is worth it.
    pub(super) async fn settled(&self) {
        let mut count = self.0.subscribe();
        // The sender is here: only the time can run out.
        let _ = tokio::time::timeout(LIMIT, count.wait_for(|count| *count == 0)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_call_that_nobody_waits_for_is_waited_for_at_the_end() {
        let (making, process) = (Making::default(), component::Runtime::detached());
        let gate = Arc::new(Notify::new());
        let call = |gate: Arc<Notify>| async move {
            gate.notified().await;
            Ok(7)
        };
        let left = tokio::time::timeout(
            Duration::from_millis(10),
            making.carry_out(&process, call(Arc::clone(&gate))),
        );
        assert!(left.await.is_err(), "the worker has gone on");
        let begun = tokio::time::Instant::now();
        let settling = async {
            making.settled().await;
            begun.elapsed()
        };
        let opening = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            gate.notify_one();
        };
        let (settled, ()) = tokio::join!(settling, opening);
        assert!((Duration::from_secs(1)..LIMIT).contains(&settled), "{settled:?}");
        gate.notify_one();
        assert_eq!(making.carry_out(&process, call(gate)).await.unwrap(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_hangs_holds_up_no_end() {
        let (making, process) = (Making::default(), component::Runtime::detached());
        let hanging = making.carry_out(&process, std::future::pending::<Result<(), cri::Error>>());
        assert!(tokio::time::timeout(Duration::from_millis(10), hanging).await.is_err());
        let begun = tokio::time::Instant::now();
        making.settled().await;
        assert_eq!(begun.elapsed(), LIMIT);
    }
}
