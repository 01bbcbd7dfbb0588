%% Plays supervision scenarios on OTP's own supervisor and prints what happened,
%% one JSON object per line: the other half of otp_test.ts.
%%
%%   erlc otp_player.erl && erl +S 1:1 -noshell -run otp_player main SCENARIOS
%%
%% SCENARIOS holds one Erlang term per scenario:
%%   {Number, Flags, [Child], [Action]}.   as in supervisor_flags/1, child_spec/2, act/3
%% Scenarios run side by side. Each has its own collector, and its processes are
%% found through a table of that scenario, not by global names.
-module(otp_player).
-behaviour(supervisor).
-export([main/1, init/1, start_child/3, start_subtree/4, child/3]).

%% A scenario rests when so many rounds in a row brought nothing new.
-define(ROUNDS, 5).
-define(ROUND_MS, 4).
-define(AT_ONCE, 40).

main([File]) ->
  logger:set_primary_config(level, none),
  {ok, Scenarios} = file:consult(File),
  run(Scenarios, 0),
  halt().

run([], 0) -> ok;
run([Scenario | Rest], Running) when Running < ?AT_ONCE ->
  Main = self(),
  spawn(fun() -> Main ! {line, play(Scenario)} end),
  run(Rest, Running + 1);
run(Rest, Running) ->
  receive {line, Line} -> io:format("~s~n", [Line]), run(Rest, Running - 1) end.

%% ---- one scenario ------------------------------------------------------------

play({Number, Flags, Children, Actions}) ->
  process_flag(trap_exit, true),
  Table = ets:new(scenario, [public, {read_concurrency, false}]),
  World = #{collector => spawn_link(fun() -> collect([]) end), table => Table},
  Started = supervisor:start_link(?MODULE, specs(World, Flags, Children)),
  Boot = take(World, Started),
  Result = case Started of
    {ok, Sup} ->
      play(World, Sup, Actions, Children),
      [{boot, Boot}, {trace, take(World, Started)}] ++ outcome(World, Sup);
    {error, {shutdown, {failed_to_start_child, Id, Reason}}} ->
      [{boot, Boot}, {startError, [{child, innermost(Id, Reason)}, {reason, refused}]}]
  end,
  json([{number, Number} | Result]).

innermost(_, {shutdown, {failed_to_start_child, Id, Reason}}) -> innermost(Id, Reason);
innermost(Id, _) -> Id.

play(_, _, [], _) -> ok;
play(World, Sup, [Action | Rest], Children) ->
  case is_process_alive(Sup) of
    false -> ok;
    true -> act(World, Sup, Action, Children), rest(World, Sup), play(World, Sup, Rest, Children)
  end.

outcome(World, Sup) ->
  case is_process_alive(Sup) of
    false -> receive {'EXIT', Sup, Reason} -> [{supervisorExit, text(Reason)}] end;
    true ->
      Running = [{Id, status(Pid)} || {Id, Pid, _, _} <- lists:reverse(supervisor:which_children(Sup))],
      exit(Sup, shutdown),
      receive {'EXIT', Sup, shutdown} -> ok end,
      [{running, object(Running)}, {close, take(World, none)}]
  end.

status(Pid) when is_pid(Pid) -> up;
status(_) -> stopped.

act(World, _, {crash, Id}, _) -> tell(World, Id, crash);
act(World, _, {exit, Id, Reason}, _) -> tell(World, Id, {exit, Reason});
act(World, Sup, {crash_together, Ids}, _) ->
  %% The supervisor must see none of the exits before all have happened.
  erlang:suspend_process(Sup),
  [tell(World, Id, crash) || Id <- Ids],
  erlang:resume_process(Sup);
act(World, Sup, {start_child, Id}, Children) ->
  [Child] = [C || C = #{id := I} <- Children, I =:= Id],
  reply(World, start_child, Id, supervisor:start_child(Sup, child_spec(World, Child)));
act(World, Sup, {Function, Id}, _) -> reply(World, Function, Id, supervisor:Function(Sup, Id)).

%% Waits until the child is gone: then its exit is on the way to its supervisor.
tell(#{table := Table}, Id, Order) ->
  case ets:lookup(Table, {pid, Id}) of
    [{_, Pid}] ->
      Monitor = monitor(process, Pid),
      Pid ! Order,
      receive {'DOWN', Monitor, _, _, _} -> ok end;
    [] -> ok
  end.

reply(World, Function, Id, Answer) ->
  report(World, {reply, Function, Id, case Answer of
    ok -> ok;
    {ok, _} -> ok;
    {error, {already_started, _}} -> already_started;
    {error, {shutdown, {failed_to_start_child, _, _}}} -> refused;
    {error, {refused, _Child}} -> refused;
    {error, {{shutdown, {failed_to_start_child, _, _}}, _Child}} -> refused;
    {error, Reason} -> Reason
  end}).

%% ---- supervisors and children ------------------------------------------------

init(Arguments) -> {ok, Arguments}.

specs(World, Flags, Children) -> {supervisor_flags(Flags), [child_spec(World, C) || C <- Children]}.

supervisor_flags(Flags) ->
  #{strategy => maps:get(strategy, Flags), intensity => maps:get(intensity, Flags), period => 3600,
    auto_shutdown => maps:get(autoShutdown, Flags, never)}.

child_spec(World, #{id := Id, children := Children, supervisor := Flags} = C) ->
  #{id => Id, type => supervisor, shutdown => infinity, restart => maps:get(restart, C, permanent),
    start => {?MODULE, start_subtree, [World, Id, Flags, Children]}};
child_spec(World, #{id := Id} = C) ->
  #{id => Id, restart => maps:get(restart, C, permanent), shutdown => maps:get(shutdown, C, 2000),
    significant => maps:get(significant, C, false),
    start => {?MODULE, start_child, [World, Id, C]}}.

start_subtree(World, Id, Flags, Children) ->
  report(World, {start, Id}),
  supervisor:start_link(?MODULE, specs(World, Flags, Children)).

start_child(#{table := Table} = World, Id, Options) ->
  Start = ets:update_counter(Table, {starts, Id}, 1, {{starts, Id}, 0}),
  case lists:member(Start, maps:get(startFails, Options, [])) of
    true -> report(World, {start_failed, Id}), {error, refused};
    false -> proc_lib:start_link(?MODULE, child, [World, Id, Options])
  end.

child(#{table := Table} = World, Id, Options) ->
  process_flag(trap_exit, true),
  ets:insert(Table, {{pid, Id}, self()}),
  report(World, {start, Id}),
  proc_lib:init_ack({ok, self()}),
  receive
    {'EXIT', _, Reason} ->
      timer:sleep(maps:get(stopTakesMs, Options, 0)),
      report(World, {stop, Id, Reason}),
      exit(Reason);
    crash -> report(World, {crash, Id}), exit(boom);
    {exit, Reason} -> report(World, {exit, Id, Reason}), exit(Reason)
  end.

%% ---- the collector -----------------------------------------------------------

report(#{collector := Collector}, Event) ->
  Collector ! {report, self(), Event},
  receive {reported, Collector} -> ok end.

collect(Events) ->
  receive
    {report, From, Event} -> From ! {reported, self()}, collect([Event | Events]);
    {count, From} -> From ! {count, length(Events)}, collect(Events);
    {take, From} -> From ! {events, lists:reverse(Events)}, collect([])
  end.

take(#{collector := Collector} = World, Started) ->
  case Started of {ok, Sup} -> rest(World, Sup); _ -> rest(World, none) end,
  Collector ! {take, self()},
  receive {events, Events} -> [text(E) || E <- Events] end.

%% Returns when nothing more happens. The call is answered only when the supervisor has finished
%% what it was at, so that a slow stop is not taken for silence.
rest(World, Sup) -> rest(World, Sup, -1, 0).
rest(_, _, _, ?ROUNDS) -> ok;
rest(#{collector := Collector} = World, Sup, Before, Round) ->
  timer:sleep(?ROUND_MS),
  answered(Sup),
  Collector ! {count, self()},
  case receive {count, N} -> N end of
    Before -> rest(World, Sup, Before, Round + 1);
    More -> rest(World, Sup, More, 0)
  end.

answered(none) -> ok;
answered(Sup) ->
  try supervisor:which_children(Sup) of
    Children -> [answered(Pid) || {_, Pid, supervisor, _} <- Children, is_pid(Pid)], ok
  catch exit:_ -> ok
  end.

%% ---- output --------------------------------------------------------------------

%% An event as words: {stop,b,shutdown} -> "stop b shutdown".
text({shutdown, _} = Reason) -> iolist_to_binary(io_lib:format("~w", [Reason]));
text(Tuple) when is_tuple(Tuple) ->
  iolist_to_binary(lists:join(" ", [text(Part) || Part <- tuple_to_list(Tuple)]));
text(Part) -> iolist_to_binary(io_lib:format("~w", [Part])).

object([]) -> empty;
object(Pairs) -> Pairs.

json(empty) -> "{}";
json([{_, _} | _] = Object) ->
  ["{", lists:join(",", [[$", atom_to_list(K), "\":", json(V)] || {K, V} <- Object]), "}"];
json(List) when is_list(List) -> ["[", lists:join(",", [json(V) || V <- List]), "]"];
json(Text) when is_binary(Text) -> [$", Text, $"];
json(Atom) when is_atom(Atom) -> [$", atom_to_list(Atom), $"];
json(Number) -> integer_to_list(Number).
