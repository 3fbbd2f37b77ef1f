//! Reading definitions in a real child process: what a hostile script can do to the server, which is nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::StreamExt;
use rivet_orchestrator::definition::{Definition, DefinitionError, Evaluator, MAX_SCRIPT_BYTES, Timeouts};

const FRIENDLY: &str = "return { name = 'p', stages = { { name = 'build', script = function() end } } }";
const ENDLESS: &str = "while true do end";

/// Longer than any reading takes, on whatever machine: what is waited for ends by itself.
const LONG: Duration = Duration::from_mins(5);
const LASTING: Timeouts = Timeouts { slot_wait: LONG, wall_limit: LONG };

fn evaluator(max_concurrent: usize) -> Evaluator {
    reading_with(env!("CARGO_BIN_EXE_rivet-orchestrator"), max_concurrent)
}

fn reading_with(program: &str, max_concurrent: usize) -> Evaluator {
    Evaluator::new(program.into(), max_concurrent).with_timeouts(LASTING)
}

/// What a refusal is about, for the tables below.
fn verdict(error: &DefinitionError) -> &'static str {
    match error {
        DefinitionError::Script { .. } => "script",
        DefinitionError::NotADefinition { .. } => "not a definition",
        DefinitionError::RunnerModule { .. } => "runner module",
        DefinitionError::Limit { .. } => "limit",
        DefinitionError::Busy => "busy",
        DefinitionError::Unavailable(_) => "unavailable",
    }
}

/// Processes, ended ones included, whose parent is this test, as directories of `/proc`.
fn children() -> Vec<PathBuf> {
    let parent = std::process::id().to_string();
    let is_child = |process: &PathBuf| {
        let stat = fs::read_to_string(process.join("stat")).unwrap_or_default();
        // "pid (name) state ppid …", where the name may hold anything.
        stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)) == Some(&parent)
    };
    let processes =
        fs::read_dir("/proc").expect("/proc is mounted").filter_map(|entry| Some(entry.ok()?.path()));
    processes.filter(is_child).collect()
}

/// The memory of a child that counts against its limit, in KiB; none before it is the program that limits itself.
fn data_kib(process: &Path) -> Option<u64> {
    let read = |file| fs::read_to_string(process.join(file)).ok();
    let bounded =
        read("limits")?.lines().any(|line| line.starts_with("Max cpu time") && line.contains(" 1 "));
    let status = read("status")?;
    let data = status.lines().find_map(|line| line.strip_prefix("VmData:"))?;
    data.trim().strip_suffix(" kB").filter(|_| bounded)?.parse().ok()
}

/// Waits until no child is left; those of tests that run beside this one end too.
async fn no_child_is_left() {
    let mut look = tokio::time::interval(Duration::from_millis(10));
    let gone = async {
        while !children().is_empty() {
            look.tick().await;
        }
    };
    tokio::time::timeout(LONG, gone).await.expect("a child process was left behind");
}

#[tokio::test]
async fn a_definition_comes_back_whole() {
    let script = "return pipeline.builder():name('ü'):tag({ key = 'os', value = 'linux' })
        :input('n', { type = 'number', default = 1, options = { 1, 2.5 } })
        :stage({ name = 'build', script = function() log.info('x') end }):build()";

    let definition = evaluator(1).read(script).await.unwrap();

    assert_eq!(definition.name, "ü");
    assert_eq!(definition.tags.len(), 1);
    assert_eq!(definition.inputs["n"].default, Some(1.into()));
}

#[tokio::test]
async fn every_hostile_script_is_refused_and_leaves_nothing() {
    let deep_source = format!("return {}", "{".repeat(100_000));
    let scripts = [
        (ENDLESS, "limit"),
        ("local function f() while true do end end while true do pcall(f) end", "limit"),
        ("while true do pcall(string.rep, 'x', 1e10) end", "limit"),
        ("while true do print(('x'):rep(1000)) end", "limit"),
        ("string.find(('a'):rep(40), ('a?'):rep(40) .. ('a'):rep(40))", "limit"),
        ("coroutine.wrap(function() while true do end end)()", "limit"),
        (
            "while true do local co = coroutine.create(function() while true do end end)
             coroutine.resume(co) coroutine.close(co) end",
            "limit",
        ),
        ("error(setmetatable({}, { __tostring = function() while true do end end }))", "limit"),
        ("setmetatable({}, { __gc = function() while true do end end }) return {}", "limit"),
        ("local c <close> = setmetatable({}, { __close = function() while true do end end })", "limit"),
        ("local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end", "limit"),
        ("local s = ('x'):rep(3e7) s = s .. s .. s .. s", "limit"),
        ("local t = {} for i = 1, 1e9 do t[i] = i end", "limit"),
        ("local t = {} while true do t[#t + 1] = coroutine.create(print) end", "limit"),
        (
            "local s, t = ('x'):rep(1e6), {} for i = 1, 1000 do t[i] = s end return { name = 'p', requires = t }",
            "limit",
        ),
        ("local function f() return 1 + f() end f()", "limit"),
        ("local t = {} setmetatable(t, { __index = function(_, k) return t[k] end }) return t.x", "limit"),
        ("local function f(...) return pcall(f, ...) end return select(2, xpcall(f, f))", "not a definition"),
        (&deep_source, "limit"),
        ("return { name = ('x'):rep(2e6), stages = { { name = 'a', script = print } } }", "limit"),
        ("return setmetatable({}, { __index = function() while true do end end })", "not a definition"),
        ("return setmetatable({}, { __pairs = function() while true do end end })", "not a definition"),
        ("error({})", "script"),
        ("error(nil)", "script"),
        ("error(coroutine.create(print))", "script"),
        ("local s = ('x'):rep(1e10)", "limit"),
        ("return table.unpack({}, 1, 1e8)", "script"),
        ("io.open('/etc/passwd')", "script"),
        ("os.execute('id')", "script"),
        ("require('os')", "script"),
        ("load('return 1')()", "script"),
        ("(nil)()", "script"),
        ("process.run('id')", "runner module"),
    ];
    let evaluator = evaluator(2);
    let read = async |(script, expected): (&str, &'static str)| {
        let error = evaluator.read(script).await.unwrap_err();
        (script.to_owned(), expected, verdict(&error))
    };

    let results: Vec<_> = futures_util::stream::iter(scripts).map(read).buffer_unordered(2).collect().await;

    for (script, expected, verdict) in results {
        assert_eq!(verdict, expected, "{script:.100}");
    }
    no_child_is_left().await;
}

/// Polls a read once: then it has its slot and its process, and keeps both until it is polled again.
async fn begin(read: &mut (impl Future<Output = Result<Definition, DefinitionError>> + Unpin)) {
    tokio::select! {
        biased;
        _ = read => panic!("it ended at once"),
        () = std::future::ready(()) => {}
    }
}

#[tokio::test]
async fn the_limit_of_memory_bounds_all_that_a_child_has() {
    let evaluator = evaluator(1);
    let mut hostile = Box::pin(evaluator.read(ENDLESS));
    let looked = loop {
        tokio::select! {
            biased;
            // Before anybody looked.
            _ = &mut hostile => hostile = Box::pin(evaluator.read(ENDLESS)),
            () = tokio::time::sleep(Duration::from_millis(1)) => {}
        }
        if let Some(kib) = children().iter().find_map(|process| data_kib(process)) {
            break kib;
        }
    };
    // The limit is 96 MiB, and most of that is for the script.
    assert!(looked < 32 << 10, "{looked} KiB");
}

#[tokio::test]
async fn a_hostile_script_holds_up_nobody_who_has_a_slot() {
    let evaluator = evaluator(2);
    let mut hostile = Box::pin(evaluator.read(ENDLESS));
    begin(&mut hostile).await;
    assert_eq!(evaluator.read(FRIENDLY).await.unwrap().name, "p");
    assert_eq!(verdict(&hostile.await.unwrap_err()), "limit");
}

#[tokio::test]
async fn a_dropped_read_takes_its_process_with_it_and_frees_its_slot() {
    let evaluator = evaluator(1);
    let mut read = Box::pin(evaluator.read(ENDLESS));
    begin(&mut read).await;
    assert!(!children().is_empty(), "no process was started");
    drop(read);

    assert!(evaluator.read(FRIENDLY).await.is_ok());
    no_child_is_left().await;
}

#[tokio::test]
async fn a_read_that_finds_no_slot_in_time_is_told_so() {
    let evaluator = evaluator(1).with_timeouts(Timeouts { slot_wait: Duration::ZERO, ..LASTING });
    let mut first = Box::pin(evaluator.read(ENDLESS));
    begin(&mut first).await;
    assert_eq!(verdict(&evaluator.read(FRIENDLY).await.unwrap_err()), "busy");
    assert_eq!(verdict(&first.await.unwrap_err()), "limit");
}

#[tokio::test]
async fn a_script_is_not_blamed_for_a_machine_that_has_no_time_for_it() {
    let starved = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/definition/starved");
    let evaluator =
        reading_with(starved, 1).with_timeouts(Timeouts { wall_limit: Duration::from_millis(10), ..LASTING });
    assert_eq!(verdict(&evaluator.read(FRIENDLY).await.unwrap_err()), "busy");
    no_child_is_left().await;
}

#[tokio::test]
async fn many_reads_at_once_wait_their_turn() {
    let evaluator = evaluator(2);
    let reads = (0..8).map(|_| evaluator.read(FRIENDLY));
    let definitions = futures_util::future::join_all(reads).await;
    assert!(definitions.into_iter().all(|definition| definition.is_ok()));
}

#[tokio::test]
async fn a_script_may_be_as_long_as_the_limit_and_no_longer() {
    let mut script = format!("{FRIENDLY} --");
    script.extend(std::iter::repeat_n('x', MAX_SCRIPT_BYTES - script.len()));
    assert!(evaluator(1).read(&script).await.is_ok());

    script.push('x');
    let error = evaluator(1).read(&script).await.unwrap_err();
    assert_eq!(error.to_string(), "the script is longer than 1048576 bytes");
}

#[tokio::test]
async fn a_program_that_cannot_answer_is_not_the_fault_of_the_script() {
    for program in ["/nowhere/rivet-orchestrator", "/bin/false", "/bin/true"] {
        let error = reading_with(program, 1).read(FRIENDLY).await.unwrap_err();
        assert_eq!(verdict(&error), "unavailable", "{program}");
    }
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    for (script, text) in [
        ("local s = ('x'):rep(4e7) s = s .. s", "the script needs too much memory to read"),
        ("local function f() return (string.gsub('x', 'x', f)) end f()", "the script calls too deep"),
        (
            "return { name = ('x'):rep(2e6), stages = { { name = 'a', script = print } } }",
            "the script returns too large a definition",
        ),
        (
            "local x\nlog.info('hello')",
            "line 2: `log` exists only while a job runs: use it inside a stage's `script` function, not at top level",
        ),
        ("return { name = 'p', stages = {} }", "`stages` must have at least one stage"),
    ] {
        assert_eq!(evaluator(1).read(script).await.unwrap_err().to_string(), text);
    }
}
