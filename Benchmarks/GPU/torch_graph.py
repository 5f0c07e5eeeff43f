"""A CUDA graph of a call into PyTorch, as its manual captures one: a few runs on a stream of their own first, so that what is made on first use is not captured."""


def captured(torch, function, argument, warm_up=3):
    """The graph, and the tensor that every replay writes. `argument` must live, and stay where it is, as long as the graph does."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(warm_up):
            function(argument)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        answer = function(argument)
    return graph, answer
