use serde_json::json;

use super::*;

fn pod(name: &str, uid: &str) -> Arc<Pod> {
    let pod = json!({"metadata": {"namespace": "default", "name": name, "uid": uid}});
    Arc::new(serde_json::from_value(pod).expect("a pod"))
}

fn with(orders: Vec<Order>) -> Pods {
    let pods = Pods::default();
    for order in orders {
        let state = Arc::new(PodState::new(order.pod()));
        let uid = pod::uid(order.pod()).to_owned();
        pods.workers.lock().insert(uid, Handle { orders: watch::channel(order).0, state });
    }
    pods
}

#[test]
fn a_name_means_the_pod_that_is_there() {
    let found = |orders: Vec<Order>| {
        let found = with(orders).by_name("default", "web")?;
        assert_eq!(pod::uid(&found.0), found.1.names.uid);
        Some(pod::uid(&found.0).to_owned())
    };
    let run = |uid: &str| Order::Run(pod("web", uid));
    let gone = |uid: &str| Order::Gone(pod("web", uid));
    // The order of a map says nothing: many pairs are as many chances to take the wrong one.
    for each in 0..16 {
        let (old, new) = (format!("old-{each}"), format!("new-{each}"));
        for orders in [vec![gone(&old), run(&new)], vec![run(&new), gone(&old)]] {
            assert_eq!(found(orders), Some(new.clone()), "one that still ends has lost its name");
        }
        assert_eq!(found(vec![gone(&old), gone(&new)]), Some(new), "of those that end, the later one");
    }
    assert_eq!(found(vec![gone("only")]), Some("only".to_owned()), "its log can still be read");
    assert_eq!(found(vec![Order::Run(pod("other", "1"))]), None);
    assert!(with(vec![run("1")]).by_name("elsewhere", "web").is_none());
}
