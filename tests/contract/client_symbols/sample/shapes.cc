#include "sample.h"

namespace shapes {

class Shape {
 public:
  virtual int Area() const;
  int id;
  static int created;
};

class Square : public Shape {
 public:
  int Area() const override;
  struct Corner {
    int x, y;
  };
  Corner corners[4];
  int side;
};

int Shape::created = 0;
int Shape::Area() const { return id; }
int Square::Area() const { return side * side + corners[0].x; }

template <class T>
struct Box {
  T content;
};
Box<int> box_of_int;
Square square;

}  // namespace shapes

extern "C" __declspec(noinline) int SumOfAreas(const shapes::Square* squares, int count) {
  int total = 0;
  for (int i = 0; i < count; ++i) total += squares[i].Area();
  return total;
}

extern "C" __declspec(dllexport) int ShapesMain(int count) { return SumOfAreas(&shapes::square, count); }
