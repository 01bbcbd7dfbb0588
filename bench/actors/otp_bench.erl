%% The seven programs of programs.ts and the costs of costs.ts on Erlang/OTP.
%%   erlc otp_bench.erl
%%   erl +S 1:1 -noshell -run otp_bench main PROGRAM REPETITIONS SCALE
%%   erl +S 1:1 -noshell -run otp_bench main spawn|ask|restart|memory
%% One scheduler, since we have one isolate. Messages with content are tuples, made anew each time.
-module(otp_bench).
-behaviour(supervisor).
-export([main/1, init/1, start_crasher/1]).

main(["restart" | _]) -> restart(), halt();
main(["memory" | _]) -> memory(), halt();
main(["spawn" | _]) -> costs("spawnsPerSecond", fun spawn_all/1, 100000), halt();
main(["ask" | _]) -> costs("asksPerSecond", fun ask_all/1, 200000), halt();
main([Name, Repetitions, Scale]) ->
  {Messages, Run} = program(list_to_atom(Name), scale(Scale)),
  [_ | Rates] = [rate(Messages, Run) || _ <- lists:seq(0, list_to_integer(Repetitions))],
  io:format("{\"engine\":\"erlang\",\"name\":\"~s\",\"median\":~p}~n", [Name, median(Rates)]),
  halt().

scale(Text) -> try list_to_float(Text) catch error:badarg -> list_to_integer(Text) end.
scaled(Count, Scale) -> max(1, round(Count * Scale)).

median(Rates) -> round(lists:nth(length(Rates) div 2 + 1, lists:sort(Rates))).

rate(Messages, Run) ->
  StartedAt = erlang:monotonic_time(microsecond),
  Run(),
  Messages * 1.0e6 / (erlang:monotonic_time(microsecond) - StartedAt).

costs(Label, Run, Count) ->
  [_ | Rates] = [rate(Count, fun() -> Run(Count) end) || _ <- lists:seq(0, 5)],
  io:format("{\"engine\":\"erlang\",\"~s\":~p}~n", [Label, median(Rates)]).

await(0) -> ok;
await(Count) -> receive done -> await(Count - 1) end.

%% ---- the seven programs --------------------------------------------------------

program(pingpong, Scale) ->
  N = scaled(200000, Scale),
  {2 * N, fun() ->
    Main = self(),
    Pong = spawn(fun pong/0),
    Ping = spawn(fun() -> ping(N, Pong, Main) end),
    Ping ! go,
    await(1),
    exit(Pong, kill)
  end};
program(counting, Scale) ->
  N = scaled(1000000, Scale),
  {N, fun() ->
    Main = self(),
    Counter = spawn(fun() -> counter(0, N, Main) end),
    spawn(fun() -> produce(N, Counter) end),
    await(1)
  end};
program(ring, Scale) ->
  N = scaled(400000, Scale),
  {N, fun() ->
    Main = self(),
    Last = spawn(fun() -> receive {next, Next} -> member(Next, Main) end end),
    First = lists:foldl(fun(_, Next) -> spawn(fun() -> member(Next, Main) end) end,
                        Last, lists:seq(2, 100)),
    Last ! {next, First},
    First ! {token, N},
    await(1),
    First ! stop
  end};
program(forkjoin, Scale) ->
  N = scaled(10000, Scale),
  {60 * N, fun() ->
    Main = self(),
    Workers = [spawn(fun() -> worker(0, N, 0.0, Main) end) || _ <- lists:seq(1, 60)],
    deal(N, Workers),
    await(60)
  end};
program(big, Scale) ->
  N = scaled(3000, Scale),
  {2 * 120 * N, fun() ->
    Main = self(),
    Peers = [spawn(fun() -> receive {peers, Peers} -> peer(I, N, I * 7919 + 1, Peers, Main) end end)
             || I <- lists:seq(0, 119)],
    Tuple = list_to_tuple(Peers),
    [Peer ! {peers, Tuple} || Peer <- Peers],
    [Peer ! {pong, 0} || Peer <- Peers],
    await(120),
    [Peer ! stop || Peer <- Peers]
  end};
program(pipeline, Scale) ->
  N = scaled(8000, Scale) * 64,
  {N, fun() ->
    Main = self(),
    Executor = spawn(fun() -> executor(0, N div 8, Main) end),
    Risk = spawn(fun() -> risk(0, Executor) end),
    Strategy = spawn(fun() -> strategy(0.0, 0, Risk) end),
    Feed = spawn(fun() -> feed(0, N, 64, [Strategy]) end),
    Feed ! go,
    await(1),
    [Pid ! stop || Pid <- [Risk, Strategy]]
  end};
program(fanout10, Scale) ->
  N = scaled(2000, Scale) * 50,
  {10 * N, fun() ->
    Main = self(),
    Listeners = [spawn(fun() -> listener(0.0, 0, N, Main) end) || _ <- lists:seq(1, 10)],
    Feed = spawn(fun() -> feed(0, N, 50, Listeners) end),
    Feed ! go,
    await(10)
  end}.

ping(0, _, Main) -> receive _ -> Main ! done end;
ping(Left, Pong, Main) -> receive _ -> Pong ! {go, self()}, ping(Left - 1, Pong, Main) end.
pong() -> receive {go, From} -> From ! go, pong() end.

counter(Count, N, Main) ->
  receive go -> counter(Count + 1, N, Main); get when Count =:= N -> Main ! done end.
produce(0, Counter) -> Counter ! get;
produce(Left, Counter) -> Counter ! go, produce(Left - 1, Counter).

member(Next, Main) ->
  receive
    {token, 0} -> Main ! done, member(Next, Main);
    {token, Left} -> Next ! {token, Left - 1}, member(Next, Main);
    stop -> Next ! stop
  end.

worker(N, N, _, Main) -> Main ! done;
worker(Count, N, Sum, Main) ->
  receive job -> Sine = math:sin(37.2 + Count), worker(Count + 1, N, Sum + Sine * Sine, Main) end.
deal(0, _) -> ok;
deal(Left, Workers) -> [Worker ! job || Worker <- Workers], deal(Left - 1, Workers).

peer(I, Left, Random, Peers, Main) ->
  receive
    {ping, From} -> element(From + 1, Peers) ! {pong, I}, peer(I, Left, Random, Peers, Main);
    {pong, _} when Left =:= 0 -> Main ! done, peer(I, -1, Random, Peers, Main);
    {pong, _} ->
      Next = (Random * 1103515245 + 12345) band 16#7fffffff,
      element(Next rem tuple_size(Peers) + 1, Peers) ! {ping, I},
      peer(I, Left - 1, Next, Peers, Main);
    stop -> ok
  end.

feed(Sent, N, _, _) when Sent >= N -> ok;
feed(Sent, N, Burst, Targets) ->
  receive go -> burst(Burst, Sent, Targets), self() ! go, feed(Sent + Burst, N, Burst, Targets) end.
burst(0, _, _) -> ok;
burst(Left, Sent, Targets) ->
  Tick = {tick, 100 + (Sent band 15), Sent},
  [Target ! Tick || Target <- Targets],
  burst(Left - 1, Sent + 1, Targets).
strategy(Average, Count, Risk) ->
  receive
    {tick, Price, _} ->
      Next = 0.99 * Average + 0.01 * Price,
      case (Count + 1) rem 8 of 0 -> Risk ! {signal, 1, Next}; _ -> ok end,
      strategy(Next, Count + 1, Risk);
    stop -> ok
  end.
risk(Exposure, Executor) ->
  receive
    {signal, Quantity, Price} -> Executor ! {order, Quantity, Price}, risk(Exposure + Quantity, Executor);
    stop -> ok
  end.
executor(N, N, Main) -> Main ! done;
executor(Orders, N, Main) -> receive {order, _, _} -> executor(Orders + 1, N, Main) end.
listener(_, N, N, Main) -> Main ! done;
listener(Average, Count, N, Main) ->
  receive {tick, Price, _} -> listener(0.99 * Average + 0.01 * Price, Count + 1, N, Main) end.

%% ---- costs -----------------------------------------------------------------------

spawn_all(Count) ->
  Main = self(),
  [spawn(fun() -> Main ! done end) || _ <- lists:seq(1, Count)],
  await(Count).

%% A monitored call: it fails at once when the callee dies.
ask_all(Count) ->
  Server = spawn(fun answer/0),
  ask(Count, Server),
  exit(Server, kill).
answer() -> receive {From, Ref, X} -> From ! {Ref, X + 1}, answer() end.
ask(0, _) -> ok;
ask(Left, Server) ->
  Ref = monitor(process, Server),
  Server ! {self(), Ref, Left},
  receive
    {Ref, _} -> demonitor(Ref, [flush]);
    {'DOWN', Ref, _, _, _} -> exit(down)
  after 5000 -> exit(timeout)
  end,
  ask(Left - 1, Server).

%% From sending `crash` to the new child's first step.
init(Main) ->
  {ok, {#{strategy => one_for_one, intensity => 1000000000, period => 1},
        [#{id => crasher, start => {?MODULE, start_crasher, [Main]}}]}}.
start_crasher(Main) ->
  proc_lib:start_link(erlang, apply, [fun() ->
    proc_lib:init_ack({ok, self()}),
    Main ! {up, self(), erlang:monotonic_time(nanosecond)},
    receive crash -> exit(boom) end
  end, []]).
restart() ->
  logger:set_primary_config(level, none),
  {ok, _} = supervisor:start_link(?MODULE, self()),
  First = receive {up, Pid, _} -> Pid end,
  Latencies = lists:sort(lists:sublist(crash(6000, First, []), 5000)),
  At = fun(Share) -> round(lists:nth(round(length(Latencies) * Share), Latencies) / 100) / 10 end,
  io:format("{\"engine\":\"erlang\",\"restartP50Us\":~p,\"restartP99Us\":~p}~n", [At(0.5), At(0.99)]).
crash(0, _, Latencies) -> Latencies;
crash(Left, Pid, Latencies) ->
  SentAt = erlang:monotonic_time(nanosecond),
  Pid ! crash,
  receive {up, Next, UpAt} -> crash(Left - 1, Next, [UpAt - SentAt | Latencies]) end.

memory() ->
  Count = 50000,
  erlang:garbage_collect(),
  Before = erlang:memory(total),
  Pids = [spawn(fun() -> receive stop -> ok end end) || _ <- lists:seq(1, Count)],
  timer:sleep(200),
  Bytes = (erlang:memory(total) - Before) div length(Pids),
  io:format("{\"engine\":\"erlang\",\"bytesPerActor\":~p}~n", [Bytes]),
  [Pid ! stop || Pid <- Pids].
