

def test_a_call_of_a_function_as_a_cell_leaves_background_work_alone(world: World) -> None:
    [first] = left(world.start(LOOP + "; function add(a, b) { return a + b }")).effects
    step = world.state.call("add", raw([1, 2]), "call[1]")
    assert done(step) == [3] and left(step).open == [first.id]
