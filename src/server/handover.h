// What other threads hand over to an event loop, without a lock and without an allocation.
#pragma once

#include <atomic>

namespace tilewise::server {

/// A list of T, which derives from Handover<T>::Node. A node is in it at most once at a time.
template <class T>
class Handover {
 public:
  struct Node {
    Node* next_handed_over = nullptr;
  };

  /// From any thread.
  void put(Node& node) {
    Node* last = last_.load(std::memory_order_relaxed);
    do {
      node.next_handed_over = last;
    } while (!last_.compare_exchange_weak(last, &node, std::memory_order_release,
                                          std::memory_order_relaxed));
  }

  /// From any thread: whether the caller has to wake the loop for what was put. Of several callers
  /// it is true for one, until the loop takes.
  bool needs_wake() {
    return last_.load(std::memory_order_acquire) != nullptr &&
           !is_woken_.exchange(true, std::memory_order_acq_rel);
  }

  /// On the loop: calls each(T&) for all that were put, in their order. It may put one again, and
  /// it may be gone afterwards.
  template <class Each>
  void take(Each each) {
    // In this order: who puts something into the list afterwards finds that it must wake.
    is_woken_.exchange(false, std::memory_order_acq_rel);
    Node* last = last_.exchange(nullptr, std::memory_order_acquire);
    Node* first = nullptr;
    while (last != nullptr) {
      Node* const before = last->next_handed_over;
      last->next_handed_over = first;
      first = last;
      last = before;
    }
    while (first != nullptr) {
      Node* const next = first->next_handed_over;
      each(static_cast<T&>(*first));
      first = next;
    }
  }

 private:
  std::atomic<Node*> last_ = nullptr;
  std::atomic<bool> is_woken_ = false;  // and has not taken yet
};

}  // namespace tilewise::server
