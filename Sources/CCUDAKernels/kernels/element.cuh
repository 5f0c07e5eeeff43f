// The type that a source is compiled for: HR_ELEMENT is HR_ELEMENT_FLOAT32 (0), _FLOAT16 (1) or _BFLOAT16 (2). Included once for each.
#undef Element
#undef HR_NAME
#if HR_ELEMENT == 0
#define Element float
#define HR_NAME(name) name##_f32
#elif HR_ELEMENT == 1
#define Element Half
#define HR_NAME(name) name##_f16
#else
#define Element Brain
#define HR_NAME(name) name##_bf16
#endif
