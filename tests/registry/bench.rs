//! The benchmark runs: every work, on small data. What it measures is not looked at.

#[path = "../bench/registry/suite.rs"]
pub mod suite;

#[test]
fn every_work_is_done_by_everybody_who_can() {
    let options = suite::Options {
        mebibytes: 8,
        runs: 1,
        only: String::new(),
    };
    let outcomes = suite::run(&options);
    let report: serde_json::Value = serde_json::from_str(&suite::report::json(&options, &outcomes)).unwrap();
    for work in report["works"].as_array().unwrap() {
        let name = work["work"].as_str().unwrap();
        let servers = work["servers"].as_object().unwrap();
        assert!(servers.contains_key("docker-registry"), "{name}");
        // Collecting is a verb of its own.
        assert!(
            servers.contains_key("regdeploy") || name == "collection",
            "{name}"
        );
        for (server, figures) in servers {
            assert!(figures["per_second"].as_f64() > Some(0.0), "{name} {server}");
            let ratio = figures["ours_is_faster"].as_f64();
            assert_eq!(
                ratio.is_some(),
                servers.contains_key("regdeploy"),
                "{name} {server}"
            );
        }
    }
    let table = suite::report::table(&outcomes);
    assert_eq!(
        table.lines().count(),
        1 + outcomes
            .iter()
            .map(|outcome| outcome.samples.len())
            .sum::<usize>()
    );
}
