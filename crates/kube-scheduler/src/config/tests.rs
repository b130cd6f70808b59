use super::*;

fn read(arguments: &[&str]) -> anyhow::Result<Config> {
    let arguments = std::iter::once("kube-scheduler").chain(arguments.iter().copied());
    Config::new(Flags::try_parse_from(arguments)?)
}

fn read_file(content: &str) -> anyhow::Result<Config> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("config.yaml");
    let head = "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n";
    std::fs::write(&path, format!("{head}{content}"))?;
    read(&["--config", path.to_str().expect("a temporary path is text")])
}

fn scores(profile: &Profile) -> Vec<String> {
    profile.scores.iter().map(|(plugin, weight)| format!("{}*{weight}", plugin.name())).collect()
}

#[test]
fn defaults_are_upstreams() {
    let config = read(&[]).unwrap();
    assert_eq!(config.serving.address().unwrap().to_string(), "0.0.0.0:10259");
    assert!(config.leader_election.leader_elect);
    let [profile] = config.profiles.as_slice() else { panic!("one profile") };
    assert_eq!(profile.scheduler_name, "default-scheduler");
    assert_eq!(
        scores(profile),
        [
            "TaintToleration*3",
            "NodeAffinity*2",
            "NodeResourcesFit*1",
            "PodTopologySpread*2",
            "InterPodAffinity*2",
            "NodeResourcesBalancedAllocation*1",
            "ImageLocality*1"
        ]
    );
    assert!(profile.preempts);
}

#[test]
fn a_file_chooses_plugins_and_weights() {
    let config = read_file(
        "
leaderElection: {leaderElect: false}
podMaxBackoffSeconds: 20
clientConnection: {kubeconfig: /etc/kubernetes/scheduler.conf}
profiles:
- schedulerName: packing
  plugins:
    score: {disabled: [{name: '*'}], enabled: [{name: NodeResourcesFit, weight: 5}]}
    postFilter: {disabled: [{name: DefaultPreemption}]}
    multiPoint: {disabled: [{name: NodePorts}]}
  pluginConfig:
  - {name: NodeResourcesFit, args: {scoringStrategy: {type: MostAllocated, resources: [{name: cpu, weight: 1}]}}}
",
    )
    .unwrap();
    let [profile] = config.profiles.as_slice() else { panic!("one profile") };
    assert_eq!(scores(profile), ["NodeResourcesFit*5"]);
    assert!(!profile.preempts && !config.leader_election.leader_elect);
    assert!(profile.filters.iter().all(|plugin| plugin.name() != "NodePorts"));
    assert_eq!(config.backoff.most.as_secs(), 20);
}

#[test]
fn what_cannot_work_is_refused() {
    for content in [
        "profiles: [{plugins: {score: {enabled: [{name: NoSuch}]}}}]",
        "profiles: [{}, {}]",
        "percentageOfNodesToScore: 101",
        "podMaxBackoffSeconds: 0",
        "profiles: [{pluginConfig: [{name: NodeResourcesFit, args: {scoringStrategy: {type: RequestedToCapacityRatio}}}]}]",
        "profiles: [{pluginConfig: [{name: NodeResourcesFit, args: {scoringStrategy: {type: RequestedToCapacityRatio, requestedToCapacityRatio: {shape: [{utilization: 50, score: 1}, {utilization: 0, score: 9}]}}}}]}]",
    ] {
        assert!(read_file(content).is_err(), "{content}");
    }
}

/// The flags of upstream's component, beside those that all controllers have.
const UPSTREAM: &str = "config pod-max-in-unschedulable-pods-duration write-config-to";

#[test]
fn every_flag_of_upstreams_is_taken_and_no_other() {
    use component::flags::{CLIENT, SERVING, UPSTREAM_CONTROLLERS, differences};
    let found = differences::<Flags>(&[SERVING, CLIENT, IGNORED], &[UPSTREAM, UPSTREAM_CONTROLLERS]);
    assert_eq!(found, (Vec::new(), Vec::new()));
}

#[test]
fn what_is_shown_can_be_read_again() {
    let config =
        Config::new(Flags::try_parse_from(["kube-scheduler", "--leader-elect=false"]).unwrap()).unwrap();
    let shown = config.shown();
    assert_eq!(shown["profiles"][0]["schedulerName"], "default-scheduler");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.yaml");
    component::flags::write_config(&path, &shown).unwrap();
    let flag = format!("--config={}", path.display());
    let again = Config::new(Flags::try_parse_from(["kube-scheduler", &flag]).unwrap()).unwrap();
    assert_eq!(again.shown(), shown);
}
