// tilewise._core: what the Python sources beside it build on. _core.pyi says what there is.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <tilewise/columns.h>
#include <tilewise/tilewise.h>

#include "calibration.h"
#include "column.h"
#include "errors.h"
#include "open_model.h"
#include "padded_tokens.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace tilewise::python {
namespace {

/// A read-only memoryview of a column, which keeps the answers alive. Never one of a null pointer,
/// which pyarrow would not take.
template <class T>
nb::object memory_of(const AnswerColumns& answers, const std::vector<T>& column) {
  static const T kNothing{};
  using View = nb::ndarray<nb::memview, const T, nb::ndim<1>>;
  const T* data = column.empty() ? &kNothing : column.data();
  return nb::cast(View(data, {column.size()}, nb::find(answers)));
}

/// A memoryview that may be written to and owns the floats. Never one of a null pointer.
nb::object memory_of(std::vector<float> values) {
  auto* owned = new std::vector<float>(std::move(values));
  const nb::capsule owner(
      owned, [](void* pointer) noexcept { delete static_cast<std::vector<float>*>(pointer); });
  static float nothing = 0;
  using View = nb::ndarray<nb::memview, float, nb::ndim<1>>;
  return nb::cast(View(owned->empty() ? &nothing : owned->data(), {owned->size()}, owner));
}

template <auto Member>
void add_column(nb::class_<AnswerColumns>& answers, const char* name) {
  answers.def_prop_ro(name,
                      [](const AnswerColumns& self) { return memory_of(self, self.*Member); });
}

/// (row, message, parts) of each row without an answer.
nb::list failures_of(const AnswerColumns& answers) {
  nb::list failures;
  for (const AnswerColumns::Failure& failure : answers.failures) {
    failures.append(
        nb::make_tuple(failure.row, failure.status.message(), parts_of(failure.status.problem())));
  }
  return failures;
}

void add_answers(nb::module_& module) {
  nb::class_<AnswerColumns> answers(module, "Answers");
  answers.def_ro("rows", &AnswerColumns::rows).def_prop_ro("failures", &failures_of);
  add_column<&AnswerColumns::scores>(answers, "scores");
  add_column<&AnswerColumns::labels>(answers, "labels");
  add_column<&AnswerColumns::values>(answers, "values");
  add_column<&AnswerColumns::embeddings>(answers, "embeddings");
  add_column<&AnswerColumns::logits>(answers, "logits");
  add_column<&AnswerColumns::ranked_ends>(answers, "ranked_ends");
  add_column<&AnswerColumns::ranked_labels>(answers, "ranked_labels");
  add_column<&AnswerColumns::ranked_scores>(answers, "ranked_scores");
  add_column<&AnswerColumns::depths>(answers, "depths");
  add_column<&AnswerColumns::truncated>(answers, "truncated");
  add_column<&AnswerColumns::out_of_scope>(answers, "out_of_scope");
}

void add_column_type(nb::module_& module) {
  nb::class_<Column>(module, "Column")
      .def_static("of_list", &column_of_list, "items"_a)
      .def_static("of_arrow", &column_of_arrow, "schema"_a, "array"_a)
      .def("__len__", &Column::rows);
}

nb::list tasks_of(const OpenModel& self) {
  nb::list tasks;
  for (const TaskInfo& task : self.model().tasks()) {
    tasks.append(nb::make_tuple(task.name, task.kind, task.input, task.labels, task.max_tokens,
                                task.outputs, task.exits));
  }
  return tasks;
}

void add_model(nb::module_& module) {
  nb::class_<OpenModel>(module, "Model")
      .def(
          "__init__",
          [](OpenModel* self, const std::string& path, const std::string& isa, int32_t replicas,
             int32_t cores_per_replica,
             bool pin) { new (self) OpenModel(path, {isa, replicas, cores_per_replica, pin}); },
          "path"_a, "isa"_a, "replicas"_a, "cores_per_replica"_a, "pin"_a)
      .def_prop_ro("tasks", &tasks_of)
      .def_prop_ro("isa", [](const OpenModel& self) { return self.model().isa(); })
      .def_prop_ro("replicas", [](const OpenModel& self) { return self.model().replicas(); })
      .def(
          "answer",
          [](const OpenModel& self, const std::string& task, const Column& left,
             const Column* right, int32_t top, bool both_orders, std::optional<float> threshold,
             bool logits, bool full_depth) {
            return self.answer({task, top, both_orders, threshold, logits, full_depth}, left,
                               right);
          },
          "task"_a, "left"_a, "right"_a.none(), nb::kw_only(), "top"_a, "both_orders"_a,
          "threshold"_a.none(), "logits"_a, "full_depth"_a)
      .def(
          "run",
          [](const OpenModel& self, const std::string& task, const TokenArray& ids,
             const std::optional<TokenArray>& mask, const std::optional<TokenArray>& types) {
            return memory_of(self.run(task, pack(ids, mask, types).batch()));
          },
          "task"_a, "ids"_a, "mask"_a.none(), "types"_a.none());
}

/// `calibration`: (task, left or only side, right side or None) each.
void compile_checkpoint(const std::string& folder, const std::string& output,
                        const std::string& backbone, const std::string& precision,
                        const nb::list& calibration) {
  CompileOptions options{backbone, precision, {}};
  for (const nb::handle rows : calibration) {
    const auto right = nb::cast<nb::object>(rows[2]);
    options.calibration.push_back(
        calibration_of(nb::cast<std::string>(rows[0]), nb::cast<const Column&>(rows[1]),
                       right.is_none() ? nullptr : nb::cast<const Column*>(right)));
  }
  const Status status = [&] {
    const nb::gil_scoped_release others_run;
    return compile(folder, output, options);
  }();
  if (!status.ok()) raise(status);
}

}  // namespace

int64_t Column::rows() const {
  if (const auto* texts = std::get_if<StringColumn>(&content)) return texts->rows();
  return std::get<RecordColumn>(content).rows;
}

}  // namespace tilewise::python

NB_MODULE(_core, module) {
  using namespace tilewise::python;
  nb::set_leak_warnings(false);  // pyarrow keeps its memory, and so our answers, when Python ends
  module.attr("__version__") = tilewise::version();
  add_column_type(module);
  add_answers(module);
  add_model(module);
  module.def("compile", &compile_checkpoint, "folder"_a, "output"_a, "backbone"_a, "precision"_a,
             "calibration"_a);
}
