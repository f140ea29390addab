#include "padded_tokens.h"

#include <limits>
#include <string>

#include "errors.h"

namespace nb = nanobind;

namespace tilewise::python {
namespace {

[[noreturn]] void wrong(const char* what, std::string where, std::string expected,
                        std::string found, const char* remedy = "") {
  raise(Status(StatusCode::invalid_argument, {.what = what,
                                              .where = std::move(where),
                                              .expected = std::move(expected),
                                              .found = std::move(found),
                                              .remedy = remedy}));
}

std::string place(const char* name, int64_t row) {
  return std::string(name) + ", row " + std::to_string(row);
}

std::string shape_of(const TokenArray& array) {
  std::string shape;
  for (size_t i = 0; i < array.ndim(); ++i) {
    shape.append(i == 0 ? "" : " x ").append(std::to_string(array.shape(i)));
  }
  return shape.empty() ? "one number" : shape;
}

/// Numbers of one row, which may lie apart.
template <class T>
struct Row {
  const T* first;
  int64_t stride;

  T operator[](int64_t column) const { return first[column * stride]; }
};

/// An array's rows as what they hold. Calls `use` with the row; false: the type is none of these.
template <class Use>
bool with_row(const TokenArray& array, int64_t row, Use use) {
  const auto of = [&]<class T>(T) {
    use(Row<T>{static_cast<const T*>(array.data()) + row * array.stride(0), array.stride(1)});
    return true;
  };
  const nb::dlpack::dtype type = array.dtype();
  if (type == nb::dtype<int64_t>()) return of(int64_t{});
  if (type == nb::dtype<int32_t>()) return of(int32_t{});
  if (type == nb::dtype<bool>() || type == nb::dtype<uint8_t>()) return of(uint8_t{});
  return false;
}

void check_type(const TokenArray& array, const char* name) {
  if (array.shape(0) == 0 || with_row(array, 0, [](const auto&) {})) return;
  const nb::dlpack::dtype type = array.dtype();
  constexpr const char* kKinds[] = {"int", "uint", "float"};
  const std::string kind = type.code < std::size(kKinds) ? kKinds[type.code] : "another kind of ";
  wrong("Tokens are whole numbers", name, "int64 or int32, or bool for a mask",
        kind + std::to_string(type.bits));
}

void check_shape(const TokenArray& array, const char* name, const TokenArray& ids) {
  if (array.ndim() == 2 && array.shape(0) == ids.shape(0) && array.shape(1) == ids.shape(1)) {
    return check_type(array, name);
  }
  wrong("The arrays of a batch have one shape", name, shape_of(ids), shape_of(array));
}

/// The columns of a row that hold its sequence.
struct Piece {
  int64_t first = 0;
  int64_t count = 0;
};

Piece piece_of(const TokenArray& mask, int64_t row) {
  constexpr const char* kName = "attention_mask";
  const auto columns = static_cast<int64_t>(mask.shape(1));
  Piece piece;
  with_row(mask, row, [&](const auto& bits) {
    for (int64_t i = 0; i < columns; ++i) {
      if (bits[i] == 0) continue;
      if (bits[i] != 1) {
        wrong("A mask is made of 0 and 1", place(kName, row), "0 or 1", std::to_string(bits[i]));
      }
      if (piece.count == 0) piece.first = i;
      if (piece.first + piece.count != i) {
        wrong("The tokens of a sequence do not lie together", place(kName, row),
              "ones without zeros between them", "a zero between ones",
              "Pad on the left or on the right");
      }
      ++piece.count;
    }
  });
  return piece;
}

void append(const TokenArray& array, const char* name, int64_t row, Piece piece,
            std::vector<int32_t>& to) {
  with_row(array, row, [&](const auto& numbers) {
    for (int64_t i = piece.first; i < piece.first + piece.count; ++i) {
      const int64_t number = numbers[i];
      if (number != static_cast<int32_t>(number)) {
        wrong("A token is no number of 32 bits", place(name, row), "", std::to_string(number));
      }
      to.push_back(static_cast<int32_t>(number));
    }
  });
}

}  // namespace

TokenBatch PackedTokens::batch() const {
  return {ids.data(), types.empty() ? nullptr : types.data(), offsets.data(),
          static_cast<int32_t>(offsets.size()) - 1};
}

PackedTokens pack(const TokenArray& ids, const std::optional<TokenArray>& mask,
                  const std::optional<TokenArray>& types) {
  constexpr const char* kIds = "input_ids";
  constexpr const char* kTypes = "token_type_ids";
  if (ids.ndim() != 2) {
    wrong("A batch of tokens has two dimensions", kIds, "sequences x tokens", shape_of(ids));
  }
  check_type(ids, kIds);
  if (mask) check_shape(*mask, "attention_mask", ids);
  if (types) check_shape(*types, kTypes, ids);

  PackedTokens packed;
  const auto rows = static_cast<int64_t>(ids.shape(0));
  for (int64_t row = 0; row < rows; ++row) {
    const Piece piece = mask ? piece_of(*mask, row) : Piece{0, static_cast<int64_t>(ids.shape(1))};
    if (piece.count > std::numeric_limits<int32_t>::max() - packed.offsets.back()) {
      wrong("A batch has too many tokens", place(kIds, row), "fewer than 2^31", "more",
            "Split the batch");
    }
    append(ids, kIds, row, piece, packed.ids);
    if (types) append(*types, kTypes, row, piece, packed.types);
    packed.offsets.push_back(static_cast<int32_t>(packed.ids.size()));
  }
  return packed;
}

}  // namespace tilewise::python
