use super::*;

#[test]
fn finds_rows_by_url_and_by_kind() {
    let pods = catalogue().lookup("", "v1", "pods").unwrap();
    assert_eq!(pods.kind, "Pod");
    assert_eq!(pods.ty().name(), "io.k8s.api.core.v1.Pod");
    assert_eq!(pods.key("default", "web"), "/registry/pods/default/web");
    let node = catalogue().by_kind("", "v1", "Node").unwrap();
    assert_eq!(node.key("", "w1"), "/registry/minions/w1");
    assert!(catalogue().lookup("apps", "v1", "pods").is_none());
}

#[test]
fn every_row_agrees_with_its_schema() {
    for resource in catalogue().all() {
        assert_eq!(resource.ty().struct_name(), resource.kind, "{resource:?}");
        assert!(resource.ty().field("metadata").is_some(), "{resource:?}");
        assert!(resource.ty().name().contains(&format!(".{}.", resource.version)), "{resource:?}");
        assert_eq!(resource.singular, resource.kind.to_lowercase(), "{resource:?}");
        let names: Vec<_> = resource.subresources.iter().map(|subresource| &subresource.name).collect();
        assert!(names.is_sorted(), "{resource:?}");
    }
}

#[test]
fn stable_groups_are_on_in_order_of_priority() {
    let groups = catalogue().groups();
    let names: Vec<&str> = groups.iter().map(|group| group.name).collect();
    assert_eq!(&names[..4], ["", "apiregistration.k8s.io", "apps", "events.k8s.io"]);
    assert!(!names.contains(&"storagemigration.k8s.io"));
    let autoscaling = groups.iter().find(|group| group.name == "autoscaling").unwrap();
    assert_eq!(autoscaling.versions, ["v2", "v1"]);
}

#[test]
fn versions_rank_stable_over_beta_over_alpha() {
    let mut versions = ["v1alpha1", "v1", "v2beta1", "v10", "v2", "v1beta2", "odd"];
    versions.sort_by_key(|version| std::cmp::Reverse(version_rank(version)));
    assert_eq!(versions, ["v10", "v2", "v1", "v2beta1", "v1beta2", "v1alpha1", "odd"]);
}
