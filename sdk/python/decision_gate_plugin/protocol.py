"""The messages of the protocol, made from its description, which protocol.binpb holds."""

from importlib import resources

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

NAME = "decisiongate.plugin.v1"
# The minor version that this SDK speaks.
MINOR = 1

_pool = descriptor_pool.DescriptorPool()
_files = descriptor_pb2.FileDescriptorSet.FromString(resources.files(__package__).joinpath("protocol.binpb").read_bytes())
for _file in _files.file:
    _pool.Add(_file)


def message(name):
    """The class of a message."""
    return message_factory.GetMessageClass(_pool.FindMessageTypeByName(f"{NAME}.{name}"))


def value(enum, name):
    """The number of a value of an enumeration."""
    return _pool.FindEnumTypeByName(f"{NAME}.{enum}").values_by_name[name].number


def methods(service):
    """The methods of a service: name, class of the request, class of the response."""
    for method in _pool.FindServiceByName(f"{NAME}.{service}").methods:
        yield method.name, message_factory.GetMessageClass(method.input_type), message_factory.GetMessageClass(method.output_type)
