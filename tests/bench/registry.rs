//! The registry's work beside that of docker-registry and nginx on the same machine, in one run: rates, and the
//! server's CPU time for each unit of them.
//!
//! `cargo bench --bench registry` runs it (root; docker-registry and nginx-light, Debian's packages). It prints a
//! table and writes `target/bench-registry.json`; each figure is the median of `REGDEPLOY_BENCH_RUNS` (3).
//! `REGDEPLOY_BENCH_SIZE` is the large blob's size in MiB (1024); numbers of repositories, tags and manifests, and
//! the seconds that a rate is taken over, shrink with it. `REGDEPLOY_BENCH_ONLY` keeps the works whose name has
//! this text in it. Rates on a busy machine say little; CPU time for each unit is what holds.

#[path = "registry/suite.rs"]
mod suite;

fn main() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let options = suite::Options {
        mebibytes: number("REGDEPLOY_BENCH_SIZE").unwrap_or(1024),
        runs: number("REGDEPLOY_BENCH_RUNS").unwrap_or(3).max(1),
        only: std::env::var("REGDEPLOY_BENCH_ONLY").unwrap_or_default(),
    };
    let results = suite::run(&options);
    print!("{}", suite::report::table(&results));
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/target/bench-registry.json");
    std::fs::write(file, suite::report::json(&options, &results)).expect("the JSON can be written");
}
