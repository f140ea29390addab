#include <cmath>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "column.h"
#include "errors.h"

namespace nb = nanobind;

namespace tilewise::python {
namespace {

/// Strings end to end, some of them missing.
class Strings {
 public:
  void add(std::string_view text) {
    fill_up(rows() + 1);
    validity_.back() |= static_cast<uint8_t>(1 << ((rows() - 1) % 8));
    bytes_ += text;
    offsets_.back() = static_cast<int64_t>(bytes_.size());
  }

  /// Missing ones, up to `rows` in all.
  void fill_up(int64_t rows) {
    offsets_.resize(static_cast<size_t>(rows) + 1, offsets_.back());
    validity_.resize(static_cast<size_t>(rows + 7) / 8, 0);
  }

  int64_t rows() const { return static_cast<int64_t>(offsets_.size()) - 1; }

  /// Valid until the next change.
  StringColumn column() const {
    return StringColumn::of_offsets(offsets_.data(), bytes_.data(), rows(), validity_.data());
  }

 private:
  std::string bytes_;
  std::vector<int64_t> offsets_ = {0};
  std::vector<uint8_t> validity_;
};

nb::object checked(PyObject* result) {
  if (result == nullptr) throw nb::python_error();
  return nb::steal(result);
}

std::string_view bytes_of(const nb::object& bytes) {
  return {PyBytes_AS_STRING(bytes.ptr()), static_cast<size_t>(PyBytes_GET_SIZE(bytes.ptr()))};
}

/// Lone surrogates, which UTF-8 cannot express, become U+FFFD.
nb::object without_surrogates(nb::handle text) {
  const nb::object utf16 = text.attr("encode")("utf-16", "surrogatepass");
  return utf16.attr("decode")("utf-16", "replace");
}

void add_text(nb::handle text, Strings& strings) {
  if (PyUnicode_IS_ASCII(text.ptr())) {
    strings.add({static_cast<const char*>(PyUnicode_DATA(text.ptr())),
                 static_cast<size_t>(PyUnicode_GET_LENGTH(text.ptr()))});
    return;
  }
  // Not PyUnicode_AsUTF8: the caller's strings would keep their bytes.
  PyObject* bytes = PyUnicode_AsUTF8String(text.ptr());
  if (bytes == nullptr) {
    PyErr_Clear();
    bytes = PyUnicode_AsUTF8String(without_surrogates(text).ptr());
  }
  strings.add(bytes_of(checked(bytes)));
}

std::string type_of(nb::handle value) { return nb::type_name(value.type()).c_str(); }

bool is_number(nb::handle value) {
  return PyNumber_Check(value.ptr()) != 0 && PySequence_Check(value.ptr()) == 0;
}

/// Also of NumPy's types and of decimal.Decimal: a number that is not equal to itself.
bool is_nan(nb::handle value) {
  if (PyFloat_Check(value.ptr())) return std::isnan(PyFloat_AS_DOUBLE(value.ptr()));
  if (PyLong_Check(value.ptr()) || !is_number(value)) return false;
  const nb::object differs = checked(PyObject_RichCompare(value.ptr(), value.ptr(), Py_NE));
  const int result = PyObject_IsTrue(differs.ptr());
  if (result < 0) throw nb::python_error();
  return result != 0;
}

/// None, NaN, and pandas.NA, which is not even comparable with itself.
bool is_missing(nb::handle value) {
  return value.is_none() || type_of(value).ends_with("NAType") || is_nan(value);
}

[[noreturn]] void wrong_row(int64_t row, const char* expected, nb::handle found) {
  raise("WrongTypeError", "An input has a type that cannot be read (at row " + std::to_string(row) +
                              "; expected " + expected + "; found " + type_of(found) + ")");
}

[[noreturn]] void wrong_field(int64_t row, const std::string& name, nb::handle found) {
  raise("WrongTypeError", "A record is flat (at row " + std::to_string(row) + ", field \"" + name +
                              "\"; expected a string, a number, a bool or None; found " +
                              type_of(found) + ")");
}

/// Fields in the order in which they first come.
class Records {
 public:
  void add(int64_t row, const nb::dict& record) {
    for (const auto [key, value] : record) {
      if (!nb::isinstance<nb::str>(key)) wrong_row(row, "names of fields as str", key);
      if (!is_missing(value)) add_value(row, key, value);
    }
    rows_ = row + 1;
  }

  void fill_up(int64_t rows) {
    rows_ = rows;
    for (Field& field : fields_) field.values.fill_up(rows);
  }

  RecordColumn column() const {
    RecordColumn column{{}, rows_};
    for (const Field& field : fields_) column.fields.push_back({field.name, field.values.column()});
    return column;
  }

 private:
  struct Field {
    std::string name;
    Strings values;
  };

  void add_value(int64_t row, nb::handle key, nb::handle value) {
    Field& field = find(std::string(bytes_of(checked(PyUnicode_AsUTF8String(key.ptr())))));
    field.values.fill_up(row);
    if (nb::isinstance<nb::str>(value)) {
      add_text(value, field.values);
    } else if (PyBool_Check(value.ptr())) {
      field.values.add(value.is(nb::handle(Py_True)) ? "true" : "false");
    } else if (is_number(value)) {
      add_text(nb::str(value), field.values);
    } else {
      wrong_field(row, field.name, value);
    }
  }

  Field& find(const std::string& name) {
    for (Field& field : fields_) {
      if (field.name == name) return field;
    }
    return fields_.emplace_back(Field{name, {}});
  }

  std::vector<Field> fields_;
  int64_t rows_ = 0;
};

Column texts_of(const nb::list& items) {
  const auto texts = std::make_shared<Strings>();
  for (const nb::handle item : items) {
    if (nb::isinstance<nb::str>(item)) {
      add_text(item, *texts);
    } else if (is_missing(item)) {
      texts->fill_up(texts->rows() + 1);
    } else {
      wrong_row(texts->rows(), "str or None, as the rows before", item);
    }
  }
  return {texts->column(), texts};
}

Column records_of(const nb::list& items) {
  const auto records = std::make_shared<Records>();
  int64_t row = 0;
  for (const nb::handle item : items) {
    if (nb::isinstance<nb::dict>(item)) {
      records->add(row, nb::borrow<nb::dict>(item));
    } else if (!is_missing(item)) {
      wrong_row(row, "dict or None, as the rows before", item);
    }
    ++row;
  }
  records->fill_up(row);
  return {records->column(), records};
}

}  // namespace

Column column_of_list(const nb::list& items) {
  for (const nb::handle item : items) {
    if (nb::isinstance<nb::str>(item)) return texts_of(items);
    if (nb::isinstance<nb::dict>(item)) return records_of(items);
    if (!is_missing(item)) wrong_row(0, "str, or dict for a record", item);
  }
  return texts_of(items);
}

}  // namespace tilewise::python
