//! The commands of pipelines.

use rivet_tests::program::{self, finish};
use rivet_tests::sample::{failure, id, new_ended_job, new_pipeline, script, success};
use rivet_tests::verify::recorded;
use serde_json::json;

use super::{app, begin, json_of, log, lua_file, printed, refused, run};

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_goes_through_its_life() {
    let app = app().await;
    let (one, two) = (lua_file(&script("one", "")), lua_file(&script("two", "")));
    let (one, two) = (one.path().to_str().unwrap(), two.path().to_str().unwrap());
    let created = json_of(&app, &["pipeline", "create", one]).await;
    let pipeline = id(&created);
    assert_eq!(created["name"], "one");
    let long = "a name that is longer than any id can be";
    let named = json_of(&app, &["pipeline", "create", one, "--name", long]).await;
    assert_eq!(json_of(&app, &["pipeline", "get", long]).await["id"], named["id"]);
    printed(&app, &["pipeline", "delete", long]).await;

    // A pipeline can be given by the beginning of its id, and by its name.
    assert_eq!(json_of(&app, &["pipeline", "get", &pipeline[..13]]).await, created);
    let said = refused(&app, &["pipeline", "revise", "one", two, "--if-version", "2"]).await;
    assert!(said.ends_with("(412 version_changed)\n"), "{said}");
    let revised = json_of(&app, &["pipeline", "revise", "one", two, "--if-version", "1"]).await;
    assert_eq!(revised["version"], 2);
    // A name counts for the moment that is asked for.
    let creation = recorded(&app.client(), "pipeline.created").await[0]["position"].to_string();
    let then = json_of(&app, &["pipeline", "get", "one", "--at", &creation]).await;
    assert_eq!((&then["id"], &then["version"]), (&created["id"], &json!(1)));
    let jobs = ["job", "list", "--pipeline", "one", "--at", &creation];
    assert_eq!(json_of(&app, &jobs).await, json!([]));
    let versions = json_of(&app, &["pipeline", "versions", "two"]).await;
    assert_eq!(versions.as_array().map(Vec::len), Some(2));
    let diff = printed(&app, &["pipeline", "diff", "two"]).await;
    assert!(diff.starts_with("name: \"one\" -> \"two\"\n--- version 1\n+++ version 2\n"), "{diff}");
    assert_eq!(json_of(&app, &["pipeline", "rollback", "two", "1"]).await["version"], 3);
    let list = printed(&app, &["pipeline", "list"]).await;
    let [head, row] = list.lines().collect::<Vec<_>>()[..] else { panic!("{list}") };
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(head), ["ID", "NAME", "VERSION", "UPDATED", "DESCRIPTION"]);
    assert_eq!((&words(row)[0][..], &words(row)[1][..], &words(row)[2][..]), (&pipeline[..], "one", "3"));
    let shown = printed(&app, &["pipeline", "get", &pipeline]).await;
    assert!(shown.contains("version      3\n") && shown.contains(&script("one", "")), "{shown}");

    let job =
        json_of(&app, &["pipeline", "launch", "one", "-p", "n=1.10", "-p", "who=me", "--priority", "9"])
            .await;
    assert_eq!((&job["parameters"], &job["priority"]), (&json!({"n": "1.10", "who": "me"}), &json!(9)));
    let grouped = ["pipeline", "launch", "one", "--concurrency-group", "g"];
    let grouped = id(&json_of(&app, &grouped).await);
    let history = json_of(&app, &["job", "events", &grouped]).await;
    assert_eq!(history["events"][0]["payload"]["concurrency"]["group"], "g");
    let keyed = json_of(&app, &["pipeline", "launch", "one", "--key", "k"]).await;
    assert_eq!(json_of(&app, &["pipeline", "launch", "one", "--key", "k"]).await["id"], keyed["id"]);
    assert_eq!(printed(&app, &["pipeline", "delete", "one"]).await, "");
    // Its jobs still go by its name.
    let shown = printed(&app, &["job", "get", &grouped]).await;
    assert!(shown.contains(&format!("pipeline    one ({pipeline}) version 3\n")), "{shown}");
    let list = printed(&app, &["job", "list", "--limit", "1"]).await;
    assert!(list.contains(" one "), "{list}");
    let output = run(&app, &["pipeline", "list"]).await;
    assert_eq!((output.stdout.len(), &output.stderr[..]), (0, &b"there are no pipelines\n"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_applied_to_the_one_pipeline_of_its_name() {
    let app = app().await;
    let (one, changed) = (lua_file(&script("one", "")), lua_file(&script("one", "description = 'changed',")));
    let (one, changed) = (one.path().to_str().unwrap(), changed.path().to_str().unwrap());
    let checked = printed(&app, &["pipeline", "check", changed]).await;
    assert_eq!(checked, "name         one\ndescription  changed\ndemands      -\n");
    assert_eq!(json_of(&app, &["pipeline", "list"]).await, json!([]));
    for (file, said, version) in [
        (one, "created pipeline \"one\"\n", 1),
        (one, "pipeline \"one\" is unchanged\n", 1),
        (changed, "revised pipeline \"one\"\n", 2),
    ] {
        let output = run(&app, &["pipeline", "apply", file]).await;
        assert_eq!(String::from_utf8_lossy(&output.stderr), said);
        assert!(program::printed(&output).contains(&format!("version      {version}\n")), "{output:?}");
    }

    let output = run(&app, &["pipeline", "create", one]).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.starts_with("2 pipelines are named \"one\" now"), "{said}");
    for command in [&["pipeline", "launch", "one"][..], &["pipeline", "apply", one]] {
        let said = refused(&app, command).await;
        let [head, second, first] = said.lines().collect::<Vec<_>>()[..] else { panic!("{said}") };
        assert_eq!(head, "error: \"one\" stands for several pipelines, give more of the id:");
        assert!(
            second.contains("  version 1, created 2") && first.contains("  version 2, created 2"),
            "{said}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launch_that_is_followed_ends_as_its_job_does() {
    let app = app().await;
    let api = app.client();
    let pipeline = new_pipeline(&api).await;
    let ended = new_ended_job(&api).await;
    let launch = ["pipeline", "launch", &pipeline, "--follow"];
    // It does so, too, if its reader has seen enough and has closed its output.
    for (command, result, code, is_read) in [
        (&launch[..], success(), 0, true),
        (&launch, failure(), 1, true),
        (&launch, failure(), 1, false),
        (&["job", "retry", &ended, "-f"], success(), 0, true),
    ] {
        let mut launch = begin(&app, command);
        launch.stdout = launch.stdout.take().filter(|_| is_read);
        let claimed = api.claim_next("r1", 30_000).await.expect(200);
        let job = claimed["job_id"].as_str().unwrap();
        log(&api.holding(&claimed), job, &["at work"]).await;
        api.holding(&claimed).complete(job, &result).await.expect(204);
        let output = finish(launch).await;
        let log = if is_read { &b"03:04:05 Info    at work\n"[..] } else { b"" };
        assert_eq!((output.status.code(), &output.stdout[..]), (Some(code), log), "{output:?}");
        let shown = printed(&app, &["job", "get", job]).await;
        assert_eq!(shown.contains("output      {\"artifacts\":2}\n"), code == 0, "{shown}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.starts_with(&format!("job {job}\n")), "{said}");
        let end = ["Succeeded\n", "Failed: exit code 3\n"][usize::from(code == 1)];
        assert!(said.ends_with(&format!("job {job} is {end}")), "{said}");
        assert_eq!(said.contains("error: "), code == 1, "{said}");
    }
}
