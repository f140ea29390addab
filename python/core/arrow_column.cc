#include <cstring>
#include <string_view>

#include "arrow.h"
#include "column.h"
#include "errors.h"

namespace nb = nanobind;

namespace tilewise::python {
namespace {

/// What a capsule points to; it must not have been taken before.
template <class T>
T* open_capsule(nb::handle capsule, const char* name) {
  auto* content = static_cast<T*>(PyCapsule_GetPointer(capsule.ptr(), name));
  if (content == nullptr) throw nb::python_error();
  if (content->release == nullptr)
    raise("InvalidArgumentError", "The Arrow data was taken already");
  return content;
}

/// Takes the array out of its capsule.
std::shared_ptr<const ArrowArray> take(ArrowArray* array) {
  const std::shared_ptr<ArrowArray> taken(new ArrowArray(*array), [](ArrowArray* owned) {
    owned->release(owned);
    delete owned;
  });
  array->release = nullptr;
  return taken;
}

template <class Offset>
void check_offsets(const Offset* offsets, int64_t rows) {
  bool ascending = rows == 0 || offsets[0] >= 0;
  for (int64_t i = 0; i < rows; ++i) ascending &= offsets[i] <= offsets[i + 1];
  if (!ascending) {
    raise("InvalidInputError", "The offsets of an Arrow column of strings do not ascend");
  }
}

/// One string of Arrow's layout of views.
struct View {
  int32_t length;
  int32_t prefix;
  int32_t buffer;
  int32_t offset;
};

void check_views(const StringColumn& column, const ArrowArray& array, int64_t first) {
  constexpr int32_t kInline = 12;
  const int64_t buffers = array.n_buffers - 3;  // validity, views, and the sizes at the end
  const auto* sizes = static_cast<const int64_t*>(array.buffers[array.n_buffers - 1]);
  for (int64_t row = 0; row < column.rows(); ++row) {
    if (!column.has(row)) continue;
    View view;
    std::memcpy(&view, static_cast<const char*>(array.buffers[1]) + sizeof(view) * (first + row),
                sizeof(view));
    const bool good =
        view.length >= 0 &&
        (view.length <= kInline || (view.buffer >= 0 && view.buffer < buffers && view.offset >= 0 &&
                                    int64_t{view.offset} + view.length <= sizes[view.buffer]));
    if (!good) {
      raise("InvalidInputError", "A view of an Arrow column of strings lies outside its buffers");
    }
  }
}

/// `offset`: rows of the parent that come before. `name`: for messages.
StringColumn strings_of(const ArrowSchema& schema, const ArrowArray& array, int64_t offset,
                        int64_t rows, const std::string& name) {
  const std::string_view format = schema.format;
  const int64_t first = array.offset + offset;
  const auto* validity = static_cast<const uint8_t*>(array.buffers[0]);
  if (schema.dictionary == nullptr && (format == "u" || format == "U")) {
    const auto* bytes = static_cast<const char*>(array.buffers[2]);
    if (format == "u") {
      const auto* offsets = static_cast<const int32_t*>(array.buffers[1]);
      check_offsets(offsets + first, rows);
      return StringColumn::of_offsets(offsets, bytes, rows, validity, first);
    }
    const auto* offsets = static_cast<const int64_t*>(array.buffers[1]);
    check_offsets(offsets + first, rows);
    return StringColumn::of_offsets(offsets, bytes, rows, validity, first);
  }
  if (schema.dictionary == nullptr && format == "vu") {
    const auto* buffers = reinterpret_cast<const char* const*>(array.buffers + 2);
    const StringColumn column =
        StringColumn::of_views(array.buffers[1], buffers, rows, validity, first);
    check_views(column, array, first);
    return column;
  }
  raise("WrongTypeError", "An Arrow column" + name + " does not hold strings (format \"" +
                              std::string(format) + "\")");
}

}  // namespace

Column column_of_arrow(nb::handle schema_capsule, nb::handle array_capsule) {
  const auto* schema = open_capsule<ArrowSchema>(schema_capsule, "arrow_schema");
  const auto array = take(open_capsule<ArrowArray>(array_capsule, "arrow_array"));
  if (std::string_view(schema->format) != "+s") {
    return {strings_of(*schema, *array, 0, array->length, ""), array};
  }
  RecordColumn records{{}, array->length};
  for (int64_t i = 0; i < array->n_children; ++i) {
    const ArrowSchema& field = *schema->children[i];
    records.fields.push_back(
        {field.name, strings_of(field, *array->children[i], array->offset, array->length,
                                " " + std::string(field.name))});
  }
  return {std::move(records), array};
}

}  // namespace tilewise::python
