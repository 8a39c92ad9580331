// ModelInferResponse, walked by hand: raw contents stay where they are when they lie in one piece.
#include <cstring>

#include "contents.h"
#include "grpc_service.pb.h"
#include "infer_message.h"
#include "text.h"
#include "wire.h"

namespace triton::client::internal {
namespace {

Error Unreadable(const std::string& message) {
  return Error(ErrorCode::DATA_LOSS, "failed to parse the answer's message: " + message);
}

// Reads a message that lies in several slices. What has been read is let go, unless it is kept.
class SliceReader {
 public:
  explicit SliceReader(std::vector<grpc::Slice>* slices) : slices_(slices) {
    for (const auto& slice : *slices_) left_ += slice.size();
    if (!slices_->empty()) Open();
  }

  uint64_t left() const { return left_; }

  bool ReadVarint(uint64_t* value) {
    std::string bytes;
    for (;;) {
      uint8_t byte = 0;
      if (bytes.size() == 10 || !ReadByte(&byte)) return false;
      bytes += static_cast<char>(byte);
      if (byte < 0x80) return WireReader(bytes).ReadVarint(value);
    }
  }

  // Copy bytes to the end of a text.
  bool Copy(uint64_t size, std::string* out) {
    if (size > left_) return false;
    out->reserve(out->size() + static_cast<size_t>(size));
    Each(size, [&](const uint8_t* data, size_t count) {
      out->append(reinterpret_cast<const char*>(data), count);
    });
    return true;
  }

  // Get bytes in one piece: where they lie, or gathered in `owned`.
  bool View(uint64_t size, const uint8_t** data, std::unique_ptr<uint8_t[]>* owned) {
    if (size > left_) return false;
    if (size == 0) {
      *data = nullptr;
      return true;
    }
    while (at_ == end_) Next();
    if (size <= static_cast<uint64_t>(end_ - at_)) {
      *data = at_;
      kept_ = true;
      at_ += size;
      left_ -= size;
      return true;
    }
    owned->reset(new uint8_t[static_cast<size_t>(size)]);
    uint8_t* to = owned->get();
    *data = to;
    Each(size, [&](const uint8_t* from, size_t count) {
      std::memcpy(to, from, count);
      to += count;
    });
    return true;
  }

 private:
  void Open() {
    at_ = (*slices_)[index_].begin();
    end_ = (*slices_)[index_].end();
    kept_ = false;
  }
  void Next() {
    // The memory of a large answer is given back while its tensor is gathered.
    if (!kept_) (*slices_)[index_] = grpc::Slice();
    ++index_;
    Open();
  }
  bool ReadByte(uint8_t* byte) {
    if (left_ == 0) return false;
    while (at_ == end_) Next();
    *byte = *at_++;
    --left_;
    return true;
  }
  template <typename Use>
  void Each(uint64_t size, Use&& use) {
    while (size > 0) {
      while (at_ == end_) Next();
      const auto here = static_cast<uint64_t>(end_ - at_);
      const auto count = static_cast<size_t>(size < here ? size : here);
      use(at_, count);
      at_ += count;
      left_ -= count;
      size -= count;
    }
  }

  std::vector<grpc::Slice>* slices_;
  size_t index_ = 0;
  const uint8_t* at_ = nullptr;
  const uint8_t* end_ = nullptr;
  bool kept_ = false;
  uint64_t left_ = 0;
};

// The numbers of the fields of grpc_service.proto.
constexpr uint32_t kRawOutputContents = 6;
constexpr uint32_t kStreamError = 1;
constexpr uint32_t kStreamResponse = 2;

struct Raw {
  const uint8_t* data = nullptr;
  size_t size = 0;
  std::unique_ptr<uint8_t[]> owned;
};

class GrpcResult : public ParsedResult {
 public:
  explicit GrpcResult(const Error& error) { status_ = error; }

  GrpcResult(const grpc::ByteBuffer& message, bool stream) {
    if (message.Valid() && !message.Dump(&slices_).ok()) {
      status_ = Unreadable("it can't be decompressed");
      return;
    }
    Error err = stream ? ReadStream() : ReadWhole();
    if (err.IsOk()) return;
    answered_ = false;
    outputs_.clear();
    status_ = err;
  }

  std::string DebugString() const override {
    if (!answered_) return status_.Message();
    inference::ModelInferResponse response;
    response.ParseFromString(head_);
    for (const auto& raw : raws_) response.add_raw_output_contents(raw.data, raw.size);
    return response.DebugString();
  }

 private:
  Error ReadWhole() {
    SliceReader reader(&slices_);
    return ReadResponse(&reader, reader.left());
  }

  Error ReadStream() {
    SliceReader reader(&slices_);
    std::string error_message;
    Error err;
    while (err.IsOk() && reader.left() > 0) {
      uint64_t tag = 0;
      uint64_t size = 0;
      if (!reader.ReadVarint(&tag)) return Unreadable("it is cut off");
      const auto type = static_cast<WireType>(tag & 7);
      if (type != WireType::BYTES) {
        err = SkipField(&reader, tag, nullptr);
        continue;
      }
      if (!reader.ReadVarint(&size) || size > reader.left()) return Unreadable("it is cut off");
      if (tag >> 3 == kStreamResponse) {
        err = ReadResponse(&reader, size);
      } else {
        std::string text;
        reader.Copy(size, &text);
        if (tag >> 3 == kStreamError) error_message = text;
      }
    }
    if (!err.IsOk()) return err;
    if (!error_message.empty()) status_ = Error(ErrorCode::UNKNOWN, error_message);
    return Error::Success;
  }

  // Skip a field that is no text, and copy it to `head`.
  static Error SkipField(SliceReader* reader, uint64_t tag, std::string* head) {
    std::string ignored;
    std::string* out = head != nullptr ? head : &ignored;
    const auto type = static_cast<WireType>(tag & 7);
    uint64_t value = 0;
    if (tag >> 3 == 0 || tag > UINT32_MAX) return Unreadable("a field has the number 0");
    if (type == WireType::VARINT && reader->ReadVarint(&value)) {
      AppendVarint(out, value);
      return Error::Success;
    }
    if (type == WireType::FIXED64 && reader->Copy(8, out)) return Error::Success;
    if (type == WireType::FIXED32 && reader->Copy(4, out)) return Error::Success;
    return Unreadable("a field is cut off, or of a type that is not known");
  }

  // Read so many bytes as a ModelInferResponse: raw contents are kept, the rest is the head.
  Error ReadResponse(SliceReader* reader, uint64_t size) {
    const uint64_t end = reader->left() - size;
    while (reader->left() > end) {
      uint64_t tag = 0;
      if (!reader->ReadVarint(&tag)) return Unreadable("it is cut off");
      if (static_cast<WireType>(tag & 7) != WireType::BYTES) {
        AppendVarint(&head_, tag);
        if (Error err = SkipField(reader, tag, &head_); !err.IsOk()) return err;
        continue;
      }
      uint64_t length = 0;
      if (!reader->ReadVarint(&length) || reader->left() < end || length > reader->left() - end) {
        return Unreadable("a field is longer than the message");
      }
      if (tag >> 3 == kRawOutputContents) {
        raws_.emplace_back();
        raws_.back().size = static_cast<size_t>(length);
        reader->View(length, &raws_.back().data, &raws_.back().owned);
      } else {
        AppendVarint(&head_, tag);
        AppendVarint(&head_, length);
        reader->Copy(length, &head_);
      }
    }
    if (reader->left() < end) return Unreadable("a field is longer than the message");
    return ReadHead();
  }

  Error ReadHead() {
    outputs_.clear();  // a message that comes in two parts is read as one
    contents_.clear();
    WireReader reader(head_);
    while (!reader.AtEnd()) {
      uint32_t field = 0;
      WireType type;
      std::string_view value;
      if (!reader.ReadTag(&field, &type)) return Unreadable("a field's tag is damaged");
      if (type != WireType::BYTES) {
        if (!reader.Skip(type)) return Unreadable("a field is damaged");
        continue;
      }
      if (!reader.ReadBytes(&value)) return Unreadable("a field is cut off");
      if (Error err = TakeField(field, value); !err.IsOk()) return err;
    }
    answered_ = true;
    return AssignContents();
  }

  Error TakeField(uint32_t field, std::string_view value) {
    switch (field) {
      case 1:
        model_name_ = value;
        break;
      case 2:
        model_version_ = value;
        break;
      case 3:
        id_ = value;
        break;
      case 4: {
        uint64_t is_final = 0;
        if (!ReadParameter(value, "triton_final_response", &is_final)) {
          return Unreadable("a parameter is damaged");
        }
        if (is_final != kAbsent) final_ = is_final != 0;
        break;
      }
      case 5:
        outputs_.emplace_back();
        contents_.emplace_back();
        return ReadOutput(value, &outputs_.back(), &contents_.back());
      default:
        break;
    }
    return Error::Success;
  }

  static constexpr uint64_t kAbsent = UINT64_MAX;

  // Read an entry of a map of parameters.
  // @param number receives the first number of its value; kAbsent when the key is another.
  static bool ReadParameter(std::string_view entry, std::string_view key, uint64_t* number) {
    WireReader reader(entry);
    std::string_view name;
    std::string_view value;
    while (!reader.AtEnd()) {
      uint32_t field = 0;
      WireType type;
      std::string_view bytes;
      if (!reader.ReadTag(&field, &type)) return false;
      if (type != WireType::BYTES) {
        if (!reader.Skip(type)) return false;
        continue;
      }
      if (!reader.ReadBytes(&bytes)) return false;
      (field == 1 ? name : value) = bytes;
    }
    *number = kAbsent;
    if (name != key) return true;
    *number = 0;
    WireReader choice(value);
    while (!choice.AtEnd()) {
      uint32_t field = 0;
      WireType type;
      if (!choice.ReadTag(&field, &type)) return false;
      if (!(type == WireType::VARINT ? choice.ReadVarint(number) : choice.Skip(type))) return false;
    }
    return true;
  }

  struct Contents {
    std::string_view typed;
    bool has_typed = false;
    bool shared_memory = false;
  };

  Error ReadOutput(std::string_view message, Output* output, Contents* contents) {
    WireReader reader(message);
    while (!reader.AtEnd()) {
      uint32_t field = 0;
      WireType type;
      if (!reader.ReadTag(&field, &type)) return Unreadable("an output is damaged");
      if (field == 3 && type == WireType::VARINT) {  // a dimension that is not packed
        uint64_t dim = 0;
        if (!reader.ReadVarint(&dim)) return Unreadable("a shape is damaged");
        output->shape.push_back(static_cast<int64_t>(dim));
        continue;
      }
      if (type != WireType::BYTES) {
        if (!reader.Skip(type)) return Unreadable("an output is damaged");
        continue;
      }
      std::string_view value;
      if (!reader.ReadBytes(&value)) return Unreadable("an output is cut off");
      if (field == 1) output->name = value;
      if (field == 2) output->datatype = value;
      if (field == 3 && !ReadDims(value, &output->shape)) return Unreadable("a shape is damaged");
      if (field == 4) {
        uint64_t region = 0;
        if (!ReadParameter(value, "shared_memory_region", &region)) {
          return Unreadable("a parameter of an output is damaged");
        }
        contents->shared_memory = contents->shared_memory || region != kAbsent;
      }
      if (field == 5) {
        contents->typed = value;
        contents->has_typed = true;
      }
    }
    return Error::Success;
  }

  static bool ReadDims(std::string_view packed, std::vector<int64_t>* shape) {
    WireReader reader(packed);
    while (!reader.AtEnd()) {
      uint64_t dim = 0;
      if (!reader.ReadVarint(&dim)) return false;
      shape->push_back(static_cast<int64_t>(dim));
    }
    return true;
  }

  // Raw contents are in the order of the outputs. Servers may leave out those of outputs that are
  // in shared memory, or have typed contents.
  Error AssignContents() {
    const bool for_each = raws_.size() == outputs_.size();
    size_t next = 0;
    for (size_t i = 0; i < outputs_.size(); ++i) {
      Output& output = outputs_[i];
      const Contents& contents = contents_[i];
      const bool has_raw = for_each || (!contents.shared_memory && !contents.has_typed);
      Raw empty;
      Raw* raw = &empty;
      if (has_raw) {
        if (next == raws_.size()) return Unreadable("output '" + output.name + "' has no contents");
        raw = &raws_[next++];
      }
      output.data = raw->data;
      output.byte_size = raw->size;
      // An output in shared memory may look like any other, but that it is empty.
      if (raw->size == 0 && !contents.has_typed) {
        if (Error err = CheckShape(output); !err.IsOk()) return err;
      } else if (raw->size == 0) {
        if (Error err = TakeTyped(contents.typed, &output); !err.IsOk()) return err;
      } else if (Error err = CheckOutputSize(output); !err.IsOk()) {
        return Unreadable(err.Message());
      }
    }
    if (next != raws_.size()) return Unreadable("it has contents without outputs");
    return Error::Success;
  }

  static Error TakeTyped(std::string_view typed, Output* output) {
    uint64_t count = 0;
    if (!CountElements(output->shape.data(), output->shape.size(), &count)) {
      return Unreadable("output '" + output->name + "' has the impossible shape " +
                        ShapeText(output->shape));
    }
    Error err = ContentsToBinary(typed, DatatypeOf(output->datatype), count, &output->owned);
    if (!err.IsOk()) {
      return Unreadable("output '" + output->name + "' of datatype '" + output->datatype +
                        "': " + err.Message());
    }
    output->data = output->owned.data();
    output->byte_size = output->owned.size();
    return Error::Success;
  }

  std::vector<grpc::Slice> slices_;  // those that `raws_` refers to, and empty ones
  std::string head_;                 // the message without its raw contents
  std::vector<Raw> raws_;
  std::vector<Contents> contents_;
};

}  // namespace

InferResult* MakeInferResult(const grpc::ByteBuffer& message) {
  return new GrpcResult(message, false);
}

InferResult* MakeStreamResult(const grpc::ByteBuffer& message) {
  return new GrpcResult(message, true);
}

InferResult* MakeErrorResult(const Error& error) { return new GrpcResult(error); }

}  // namespace triton::client::internal
